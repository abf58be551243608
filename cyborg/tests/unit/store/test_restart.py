# SPDX-License-Identifier: Apache-2.0
"""A database that is killed is away, says so in our words, and serves again without anybody being started anew."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from cyborg.domain import errors
from cyborg.store import device_profiles, schema
from cyborg.store.engine import Store
from cyborg.tests import databases
from cyborg.tests.functional import private_servers

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", params=list(databases.VARIABLES))
def running(request: pytest.FixtureRequest) -> Iterator[private_servers.Server]:
    private_servers.wanted(request.param)
    with private_servers.run(request.param) as server:
        store = Store(server.url)
        schema.upgrade(store)
        store.dispose()
        yield server


@pytest.fixture
def server(running: private_servers.Server) -> private_servers.Server:
    running.start()
    return running


@pytest.fixture
def store(server: private_servers.Server) -> Iterator[Store]:
    store = Store(server.url)
    yield store
    store.dispose()


def die_while_writing(server: private_servers.Server, store: Store, further: str | None) -> None:
    """Between two statements, or, without a further one, before the commit."""
    with store.transaction() as tx:
        tx.execute(text("DELETE FROM operations"))
        server.kill()
        if further is not None:
            tx.execute(text(further))


def profiles(store: Store) -> list[str]:
    with store.reading() as tx:
        return [one.name for one in device_profiles.page(tx)]


def test_a_database_that_restarts_is_away_in_between_and_no_longer(
    server: private_servers.Server, store: Store
) -> None:
    with pytest.raises(errors.Unavailable, match="does not answer"):
        die_while_writing(server, store, "DELETE FROM hosts")
    with pytest.raises(errors.Unavailable, match="does not answer"):
        profiles(store)
    server.start()
    assert profiles(store) == []
    # What lies idle in the pool is from before.
    server.stop()
    server.start()
    assert profiles(store) == []


def test_a_commit_that_the_database_did_not_live_to_confirm_is_unavailable(
    server: private_servers.Server, store: Store
) -> None:
    with pytest.raises(errors.Unavailable, match="does not answer"):
        die_while_writing(server, store, None)
