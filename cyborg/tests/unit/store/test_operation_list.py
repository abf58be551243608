# SPDX-License-Identifier: Apache-2.0
"""Operations as lists show them: what each is doing, and no turns."""

import datetime
import uuid
from typing import Any

import pytest
from sqlalchemy import insert

from cyborg.domain import errors
from cyborg.store import models, operation_list, operations, paging
from cyborg.store.engine import Store
from cyborg.store.operation_list import Filter, State
from cyborg.tests.databases import recorded

HOUR = datetime.timedelta(hours=1)


def add(store: Store, **changes: Any) -> str:
    now = operations.now()
    values = {"uuid": str(uuid.uuid4()), "kind": "clean", "payload": {}, "next_at": now - HOUR, **changes}
    with store.transaction() as tx:
        tx.execute(insert(models.Operation).values(values))
    return str(values["uuid"])


def each_state(store: Store) -> dict[str, State]:
    now = operations.now()
    return {
        add(store): State.DUE,
        add(store, owner="dead", lease_until=now - HOUR): State.DUE,
        add(store, owner="me", lease_until=now + HOUR): State.RUNNING,
        add(store, owner="me", lease_until=now + HOUR, next_at=now + HOUR): State.RUNNING,
        add(store, next_at=now + HOUR): State.WAITING,
        add(store, ended_at=now): State.FAILED,
        add(store, ended_at=now, owner="me", lease_until=now + HOUR): State.FAILED,
    }


def test_what_each_is_doing_is_seen_from_its_lease_and_its_times(store: Store) -> None:
    expected = each_state(store)
    with store.reading() as tx:
        assert {one.uuid: one.state for one in operation_list.page(tx)} == expected
        for state in State:
            found = {one.uuid for one in operation_list.page(tx, Filter(state=state))}
            assert found == {uuid for uuid, known in expected.items() if known is state}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), 3),
        (Filter(kind="clean"), 2),
        (Filter(hostname="compute-1"), 2),
        (Filter(hostname="compute-1", kind="prepare"), 1),
        (Filter(subject=str(uuid.UUID(int=1))), 1),
        (Filter(kind="turn:audit"), 0),
    ],
)
def test_they_are_filtered_and_turns_are_no_operations(store: Store, wanted: Filter, found: int) -> None:
    add(store, hostname="compute-1", subject=str(uuid.UUID(int=1)))
    add(store, hostname="compute-1", kind="prepare")
    add(store, hostname="compute-2", subject=str(uuid.UUID(int=2)))
    add(store, kind="turn:audit")
    with store.reading() as tx:
        rows = operation_list.page(tx, wanted)
        assert len(rows) == found
        assert all(operation_list.get(tx, row.uuid) == row for row in rows)


def test_a_page_is_one_statement_and_a_turn_is_no_marker(store: Store) -> None:
    turn = add(store, kind="turn:audit")
    made = [add(store) for _ in range(3)]
    with store.reading() as tx, recorded(store) as statements:
        assert [one.uuid for one in operation_list.page(tx, part=paging.Page(limit=2))] == made[:2]
        assert len(statements) == 1
        rest = operation_list.page(tx, part=paging.Page(marker=made[1], sort="created_at"))
        assert [one.uuid for one in rest] == made[2:]
        with pytest.raises(errors.InvalidRequest, match="marker"):
            operation_list.page(tx, part=paging.Page(marker=turn))
        with pytest.raises(errors.NotFound):
            operation_list.get(tx, turn)
