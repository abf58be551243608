# SPDX-License-Identifier: Apache-2.0
"""SQLite as a database for many threads and a few processes.

It has one writer. Transactions that write begin IMMEDIATE: they wait for each other at the start, where waiting
is possible, instead of failing in the middle, where it is not. Readers see a snapshot and wait for nobody (WAL).

Not made by oslo.db, which opens and closes the file for every transaction; with WAL each last close writes the
whole log back, four times as slow as the transaction itself. Its translation of errors is used all the same.
"""

import json
import os
from typing import Any

from oslo_db.sqlalchemy import exc_filters
from oslo_log import log
from sqlalchemy import URL, Connection, Engine, create_engine, event, exc

from cyborg.domain import errors

LOG = log.getLogger(__name__)
BUSY_SECONDS = 30


def open_engine(url: URL, *, pool_size: int = 10, max_overflow: int = 50, synchronous: bool = True) -> Engine:
    """Connections that are given the execution option ``immediate`` begin transactions that write."""
    if url.database in (None, "", ":memory:"):
        raise errors.InvalidRequest("SQLite needs a file, as in sqlite:////var/lib/cyborg/cyborg.sqlite.")
    engine = create_engine(url, pool_size=pool_size, max_overflow=max_overflow, json_deserializer=_read_json)
    exc_filters.register_engine(engine)

    def tune(connection: Any, record: Any) -> None:
        # Transactions begin by the statement below, not by the driver's guess at what is one.
        connection.isolation_level = None
        record.info["pid"] = os.getpid()
        for pragma in (
            f"busy_timeout = {BUSY_SECONDS * 1000}",
            "journal_mode = WAL",
            "foreign_keys = ON",
            # With WAL, NORMAL is safe against a crash of the process and never corrupts the file.
            f"synchronous = {'NORMAL' if synchronous else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", tune)
    event.listen(engine, "checkout", _refuse_forked)
    event.listen(engine, "begin", _begin)
    return engine


def _read_json(text: str) -> Any:
    """None for what is no JSON: the other databases refuse to store it, and one such row must not break a list."""
    try:
        return json.loads(text)
    except ValueError:
        LOG.exception("A column that should hold JSON holds %.80r", text)
        return None


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _refuse_forked(_connection: Any, record: Any, proxy: Any) -> None:
    """A connection that came over a fork would break the parent's locks; this makes the pool open another."""
    if record.info["pid"] != os.getpid():
        record.dbapi_connection = proxy.dbapi_connection = None
        raise exc.DisconnectionError("The connection belongs to another process.")
