# SPDX-License-Identifier: Apache-2.0
"""The database as the rest of the service sees it: transactions, and errors in our own words.

    with store.transaction() as tx:              # commits at the end, rolls back when anything is raised
        before = hosts.load(tx, "compute-1")     # waits for whoever decides on that host now
        ...

Servers run READ COMMITTED. Order comes from locking the row of the host, and what is read after the lock was
granted must be what the previous owner committed; under MariaDB's default, REPEATABLE READ, it would be what
was there when the transaction began. What is special about SQLite is in `cyborg.store.sqlite`.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import oslo_db.exception as oslo
from oslo_config import cfg
from oslo_db.sqlalchemy import engines
from sqlalchemy import Connection, Engine, event, exc, make_url

from cyborg import crash
from cyborg.domain import errors
from cyborg.store import sqlite

P = ParamSpec("P")
R = TypeVar("R")

#: What other rooms hand from `Store.transaction` to the functions of this one.
Transaction = Connection

ATTEMPTS = 8
#: The [database] options that shape the engine.
ENGINE_OPTIONS = (
    "mysql_sql_mode",
    "mysql_wsrep_sync_wait",
    "connection_recycle_time",
    "connection_debug",
    "max_pool_size",
    "max_overflow",
    "pool_timeout",
    "sqlite_synchronous",
    "connection_trace",
    "max_retries",
    "retry_interval",
    "connection_parameters",
)
DEFAULTS = {"max_retries": 0, "mysql_sql_mode": "TRADITIONAL", "thread_checkin": False}
_CONTROL = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")
#: The loser of a conflict between transactions: right in itself, and done by running it again.
_TRANSIENT = (oslo.DBDeadlock, oslo.DBConsistencyError)
_AWAY = "The database does not answer; see whether it runs and whether [database] connection is right."
_NOT_NOW = "The database could not do this now; try again."
_UNSTORABLE = "A value is too long, too large or of a form that cannot be stored."


class Store:
    """One database; used by any number of threads. ``url`` as in ``[database] connection``."""

    def __init__(self, url: str, **options: Any) -> None:
        self.engine = _create_engine(url, options)
        self._writing = self.engine.execution_options(immediate=True)
        self._one_writer = threading.Lock() if self.engine.name == "sqlite" else None
        self._counting = threading.Lock()
        self._statements = 0
        event.listen(self.engine, "before_cursor_execute", self._count)

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts, **overrides: Any) -> "Store":
        """Waits for the database as [database] max_retries and retry_interval say; raises Unavailable after.

        InvalidRequest for a URL that can never do.
        """
        options = {name: conf.database[name] for name in ENGINE_OPTIONS} | overrides
        if not conf.database.connection:
            raise errors.Unavailable("No database is configured; set [database] connection to a database URL.")
        try:
            with _translated():
                return cls(conf.database.connection, **options)
        except (exc.ArgumentError, ImportError) as error:
            raise errors.InvalidRequest(f"[database] connection names no usable database: {error}.") from error

    @property
    def statements(self) -> int:
        """Statements executed so far; the marks that only begin and end transactions do not count."""
        return self._statements

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction. Never open one inside another: on SQLite the inner one waits for the outer."""
        with _translated(), self._writer(), self._writing.begin() as tx:
            yield tx
            crash.point("store.before_commit")
        crash.point("store.after_commit")

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that only reads; on SQLite it neither waits for a writer nor holds one up."""
        with _translated(), self.engine.connect() as tx:
            yield tx

    def retrying(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """``function``'s answer, run again while the database says "deadlock"; it opens its own transaction."""
        for attempt in range(1, ATTEMPTS):
            try:
                return function(*args, **kwargs)
            except errors.Unavailable as error:
                if not isinstance(error.__cause__, _TRANSIENT):
                    raise
            time.sleep(random.uniform(0, min(0.01 * 2**attempt, 0.5)))  # noqa: S311 - spreads retries, no secret
        return function(*args, **kwargs)

    def dispose(self) -> None:
        """Close the pooled connections; the store may still be used, with new ones."""
        self.engine.dispose()

    @contextmanager
    def _writer(self) -> Iterator[None]:
        """Threads of one process queue here: SQLite's own waiting is polling, and unfair."""
        if self._one_writer is None:
            yield
            return
        if not self._one_writer.acquire(timeout=sqlite.BUSY_SECONDS):
            raise errors.Unavailable(f"The database was busy for {sqlite.BUSY_SECONDS} seconds; try again.")
        try:
            yield
        finally:
            self._one_writer.release()

    def _count(self, *context: Any) -> None:
        if not context[2].startswith(_CONTROL):
            with self._counting:
                self._statements += 1


def _create_engine(url: str, options: dict[str, Any]) -> Engine:
    target = make_url(url)
    if target.get_backend_name() == "sqlite":
        names = {"max_pool_size": "pool_size", "max_overflow": "max_overflow", "sqlite_synchronous": "synchronous"}
        return sqlite.open_engine(target, **{name: options[key] for key, name in names.items() if key in options})
    if target.get_backend_name() in ("mysql", "mariadb") and "charset" not in target.query:
        # oslo.db asks for "utf8", which MariaDB and MySQL take for three bytes a character.
        target = target.update_query_dict({"charset": "utf8mb4"})
    engine: Engine = engines.create_engine(target, **(DEFAULTS | options))
    event.listen(engine, "connect", lambda connection, _: _read_committed(engine, connection))
    # oslo.db may have connected already, to see whether the database is there.
    engine.dispose()
    return engine


def _read_committed(engine: Engine, connection: Any) -> None:
    engine.dialect.set_isolation_level(connection, "READ COMMITTED")


@contextmanager
def _translated() -> Iterator[None]:
    """What a database may answer to anybody at any time, as domain errors; the cause stays attached."""
    try:
        yield
    except _TRANSIENT as error:
        raise errors.Unavailable("The database gave way to another transaction; try again.") from error
    except oslo.DBNonExistentTable as error:
        raise errors.Unavailable("The database has no schema of ours; run 'cyborg-dbsync upgrade'.") from error
    except (oslo.DBConnectionError, oslo.DBNonExistentDatabase, exc.TimeoutError) as error:
        raise errors.Unavailable(_AWAY) from error
    except exc.OperationalError as error:
        raise errors.Unavailable(_AWAY if error.statement is None else _NOT_NOW) from error
    except (oslo.DBDataError, oslo.DBInvalidUnicodeParameter) as error:
        raise errors.InvalidRequest(_UNSTORABLE) from error
    except oslo.DBError as error:
        if isinstance(error.inner_exception, exc.DataError | OverflowError | UnicodeError):
            raise errors.InvalidRequest(_UNSTORABLE) from error
        raise
