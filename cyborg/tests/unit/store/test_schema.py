# SPDX-License-Identifier: Apache-2.0
"""One schema: the migrations from nothing make exactly what the models say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from cyborg.domain import errors
from cyborg.domain.shape import Shape
from cyborg.store import hosts, models, schema
from cyborg.store.engine import Store
from cyborg.tests import databases


@pytest.fixture(params=databases.ENGINES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bare(kind: str, tmp_path: Path) -> Iterator[Store]:
    """An empty database, without any schema."""
    with databases.fresh(kind, tmp_path) as url:
        store = Store(url)
        yield store
        store.dispose()


def described(tx: Connection) -> dict[str, Any]:
    """Everything the engine says of our tables, in words that can be compared."""
    found = inspect(tx)
    return {name: _described(tx, found, name) for name in found.get_table_names() if name != schema.VERSION_TABLE}


def _described(tx: Connection, found: Any, name: str) -> Any:
    if tx.engine.name == "mysql":
        return sorted(tx.execute(text(f"SHOW CREATE TABLE {name}")).one()[1].replace(",\n", "\n").splitlines())
    return {
        "columns": [{**column, "type": repr(column["type"])} for column in found.get_columns(name)],
        "primary": found.get_pk_constraint(name),
        "unique": sorted(found.get_unique_constraints(name), key=lambda one: str(one["name"])),
        "indexes": sorted(found.get_indexes(name), key=lambda one: str(one["name"])),
        "foreign": sorted(found.get_foreign_keys(name), key=lambda one: str(one["name"])),
        "checks": found.get_check_constraints(name),
    }


def test_an_upgrade_from_nothing_differs_in_nothing_from_the_models(bare: Store) -> None:
    schema.upgrade(bare)
    with bare.reading() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, models.Base.metadata) == []


def test_the_engine_describes_both_alike(kind: str, bare: Store, tmp_path: Path) -> None:
    schema.upgrade(bare)
    with databases.fresh(kind, tmp_path) as url:
        other = Store(url)
        with other.transaction() as tx:
            models.Base.metadata.create_all(tx)
        with bare.reading() as migrated, other.reading() as made:
            assert described(migrated) == described(made)
            assert set(described(made)) == set(models.Base.metadata.tables)
        other.dispose()


def test_every_constraint_has_a_name() -> None:
    for table in models.Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints)
        assert all(len(str(constraint.name)) <= 63 for constraint in table.constraints)


UNIQUE = {
    "hosts": {("uuid",), ("name",)},
    "reports": {("host_id", "driver")},
    "devices": {("uuid",), ("host_id", "identity")},
    "deployables": {("uuid",), ("device_id", "key")},
    "accelerators": {("uuid",), ("deployable_id", "key"), ("arq_uuid",)},
    "attributes": {("uuid",), ("deployable_id", "origin", "key")},
    "device_profiles": {("uuid",), ("name",)},
    "profile_shares": set(),
    "arqs": {("uuid",)},
    "instances": set(),
    "operations": {("uuid",)},
}


def test_what_must_be_unique_is_unique_in_the_schema(bare: Store) -> None:
    schema.upgrade(bare)
    found = inspect(bare.engine)
    assert {
        name: {tuple(one["column_names"]) for one in found.get_unique_constraints(name)}
        for name in models.Base.metadata.tables
    } == UNIQUE


def test_every_revision_follows_one_and_can_be_stopped_at(bare: Store) -> None:
    revisions = [script.revision for script in reversed(list(ScriptDirectory(str(schema.MIGRATIONS)).walk_revisions()))]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    assert schema.version(bare) is None
    for revision in revisions:
        schema.upgrade(bare, revision)
        assert schema.version(bare) == revision
    assert schema.version(bare) == schema.head()


def test_hosts_of_before_there_were_shapes_keep_theirs(bare: Store) -> None:
    schema.upgrade(bare, "0001")
    with bare.transaction() as tx:
        tx.execute(
            text(
                "INSERT INTO hosts (uuid, name, generation, owned_traits, created_at) "
                "VALUES ('u', 'compute-1', 7, '[]', '2026-01-01 00:00:00')"
            )
        )
    schema.upgrade(bare)
    with bare.transaction() as tx:
        host = hosts.load(tx, "compute-1")
    assert host is not None
    assert (host.shape, host.moving_to, host.owned_classes, host.generation) == (Shape(), None, frozenset(), 7)


def test_upgrading_again_changes_nothing(bare: Store) -> None:
    schema.upgrade(bare)
    with bare.reading() as tx:
        before = described(tx)
    schema.upgrade(bare)
    with bare.reading() as tx:
        assert described(tx) == before


@pytest.mark.parametrize(
    "setup",
    [
        ["CREATE TABLE extended_accelerator_requests (id INTEGER)", "CREATE TABLE devices (id INTEGER)"],
        [
            "CREATE TABLE alembic_version (version_num VARCHAR(32))",
            "INSERT INTO alembic_version VALUES ('f509')",
        ],
    ],
)
def test_a_database_of_another_service_is_refused_untouched(bare: Store, setup: list[str]) -> None:
    with bare.transaction() as tx:
        for statement in setup:
            tx.execute(text(statement))
    before = inspect(bare.engine).get_table_names()
    for action in (schema.upgrade, schema.version, lambda store: schema.stamp(store, "head")):
        with pytest.raises(errors.Conflict, match="Nothing was changed"):
            action(bare)
    assert inspect(bare.engine).get_table_names() == before


def test_tables_without_a_revision_are_refused_until_they_are_stamped(bare: Store) -> None:
    with bare.transaction() as tx:
        models.Base.metadata.create_all(tx)
    with pytest.raises(errors.Conflict, match="cyborg-dbsync stamp"):
        schema.upgrade(bare)
    schema.stamp(bare, "head")
    schema.upgrade(bare)
    assert schema.version(bare) == schema.head()


def test_an_unknown_revision_is_named_with_the_known_ones(bare: Store) -> None:
    with pytest.raises(errors.NotFound, match=r"'0815'.*0001"):
        schema.upgrade(bare, "0815")
    assert inspect(bare.engine).get_table_names() == []
