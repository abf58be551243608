# SPDX-License-Identifier: Apache-2.0
"""What several modules of functional tests share because it takes seconds to start."""

from collections.abc import Iterator

import pytest

from cyborg.tests.functional.worlds import WORLDS, World


@pytest.fixture(scope="session", params=["noauth", "keystone"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A service that real clients use; tests leave nothing behind in it."""
    with WORLDS[request.param](tmp_path_factory.mktemp(request.param)) as found:
        yield found
