# SPDX-License-Identifier: Apache-2.0
"""One migrated database per engine and session, empty at the start of each test."""

from collections.abc import Iterator

import pytest

from cyborg.store import schema
from cyborg.store.engine import Store
from cyborg.tests import databases


@pytest.fixture(scope="session", params=databases.ENGINES)
def engine_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with databases.fresh(request.param, tmp_path_factory.mktemp("database")) as url:
        store = Store(url)
        schema.upgrade(store)
        yield store
        store.dispose()


@pytest.fixture
def store(engine_store: Store) -> Store:
    databases.empty(engine_store)
    return engine_store
