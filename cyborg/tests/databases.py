# SPDX-License-Identifier: Apache-2.0
"""Real databases for tests: a fresh one on each engine, made by the migrations, emptied between tests.

SQLite is always there. Servers are used where their URLs are given, with the right to create databases:

    CYBORG_TEST_MYSQL=mysql+pymysql://root@127.0.0.1:3306/
    CYBORG_TEST_POSTGRESQL=postgresql+psycopg://postgres@127.0.0.1:5432/

CYBORG_TEST_REQUIRE_SERVERS=1 makes a missing one a failure; without it those tests are skipped.
"""

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, event, make_url, text

from cyborg.store import models
from cyborg.store.engine import Store

VARIABLES = {"mysql": "CYBORG_TEST_MYSQL", "postgresql": "CYBORG_TEST_POSTGRESQL"}
#: For parametrized fixtures: every engine, the servers marked.
ENGINES = ["sqlite", *(pytest.param(kind, marks=pytest.mark.servers) for kind in VARIABLES)]


@contextmanager
def fresh(kind: str, directory: Path) -> Iterator[str]:
    """The URL of an empty database, gone afterwards; skips when there is no such server."""
    name = f"cyborg_{uuid.uuid4().hex[:12]}"
    if kind == "sqlite":
        yield f"sqlite:///{directory}/{name}.sqlite"
        return
    server = make_url(_server(kind))
    default = "postgres" if kind == "postgresql" else None
    admin = create_engine(server.set(database=server.database or default), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
        admin.dispose()


def _server(kind: str) -> str:
    variable = VARIABLES[kind]
    url = os.environ.get(variable)
    if not url:
        complain = pytest.fail if os.environ.get("CYBORG_TEST_REQUIRE_SERVERS") == "1" else pytest.skip
        complain(f"{variable} does not name a server")
    return str(url)


def empty(store: Store) -> None:
    """Take every row away and leave the schema."""
    with store.transaction() as tx:
        for table in reversed(models.Base.metadata.sorted_tables):
            tx.execute(delete(table))


@contextmanager
def recorded(store: Store) -> Iterator[list[str]]:
    """The statements that the block executes, in order; what only begins or ends transactions is left out.

    Those of this thread: others, such as a conductor's periodic work, have a life of their own.
    """
    statements: list[str] = []
    thread = threading.get_ident()

    def record(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if threading.get_ident() == thread and not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            statements.append(statement)

    event.listen(store.engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(store.engine, "before_cursor_execute", record)
