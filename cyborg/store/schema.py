# SPDX-License-Identifier: Apache-2.0
"""Bring the schema of a database to a revision, and say at which it is.

A database of the former Cyborg service is refused before anything is touched: its tables mean other things
under similar names.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, String, column, inspect, select, table

from cyborg.domain import errors
from cyborg.store import models
from cyborg.store.engine import Store

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version"
FOREIGN_TABLE = "extended_accelerator_requests"


def upgrade(store: Store, revision: str = "head") -> None:
    """Idempotent. Raises Conflict, with nothing changed, for a database that is not ours."""
    _known(revision)
    with store.transaction() as tx:
        _refuse_foreign(tx)
        if _version(tx) is None and (found := _our_tables(tx)):
            raise errors.Conflict(
                f"The database has tables ({', '.join(found)}) but no recorded revision. If they are complete, run "
                "'cyborg-dbsync stamp --revision REVISION'; otherwise give an empty database."
            )
        command.upgrade(_config(tx), revision)


def stamp(store: Store, revision: str) -> None:
    """Record ``revision`` without running anything."""
    _known(revision)
    with store.transaction() as tx:
        _refuse_foreign(tx)
        command.stamp(_config(tx), revision)


def write_revision(store: Store, message: str, *, autogenerate: bool) -> None:
    """A new migration file, with the next number, for developers to complete; alembic prints its path."""
    number = f"{int(head()) + 1:04}"
    with store.transaction() as tx:
        _refuse_foreign(tx)
        command.revision(_config(tx), message, rev_id=number, autogenerate=autogenerate)


def version(store: Store) -> str | None:
    """The revision the database is at; None when it is empty. Raises Conflict when it is not ours."""
    with store.reading() as tx:
        _refuse_foreign(tx)
        return _version(tx)


def head() -> str:
    """The newest revision that this code knows."""
    return str(_scripts().get_current_head())


def _config(tx: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = tx
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _revisions() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}


def _known(revision: str) -> None:
    known = _revisions()
    if revision not in known | {"head"}:
        raise errors.NotFound(f"There is no revision {revision!r}; known are {', '.join(sorted(known))} and head.")


def _version(tx: Connection) -> str | None:
    """Read directly: alembic's own way logs two lines, and there is one row at most."""
    if VERSION_TABLE not in inspect(tx).get_table_names():
        return None
    return tx.execute(select(column("version_num", String)).select_from(table(VERSION_TABLE))).scalar_one_or_none()


def _our_tables(tx: Connection) -> list[str]:
    return sorted(set(inspect(tx).get_table_names()) & set(models.Base.metadata.tables))


def _refuse_foreign(tx: Connection) -> None:
    if FOREIGN_TABLE in inspect(tx).get_table_names():
        raise errors.Conflict(
            f"The database belongs to the former Cyborg service (it has the table {FOREIGN_TABLE!r}). Nothing was "
            "changed. Set [database] connection to an empty database."
        )
    found = _version(tx)
    if found is not None and found not in _revisions():
        raise errors.Conflict(
            f"The database is at revision {found}, which this release does not know: it is newer, "
            "or of another service. Nothing was changed. Install the release that made it, or give an empty database."
        )
