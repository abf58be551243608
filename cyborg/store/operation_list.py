# SPDX-License-Identifier: Apache-2.0
"""Operations as lists show them: work that is still to do, and what was given up. Turns of periodic work are not shown.

One statement for a page; what an operation is doing is worked out from its lease and its times on the way.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, or_, select

from cyborg.domain import errors
from cyborg.store import operations, paging
from cyborg.store.engine import Transaction
from cyborg.store.models import Operation as Table
from cyborg.store.records import OperationRecord

SORTS = {"id": Table.id, "uuid": Table.uuid, "created_at": Table.created_at}


class State(StrEnum):
    """DUE is for whoever takes it next, WAITING until its time comes; FAILED was given up."""

    DUE = "due"
    RUNNING = "running"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    kind: str | None = None
    hostname: str | None = None
    subject: str | None = None
    state: State | None = None


ANY = Filter()


def page(tx: Transaction, wanted: Filter = ANY, part: paging.Page = paging.ALL) -> list[OperationRecord]:
    conditions = _conditions(operations.now())
    statement = _select(conditions)
    for name in ("kind", "hostname", "subject"):
        value = getattr(wanted, name)
        if value is not None:
            statement = statement.where(getattr(Table, name) == value)
    if wanted.state is not None:
        statement = statement.where(conditions[wanted.state])
    return [_record(row) for row in tx.execute(paging.cut(tx, statement, part, SORTS, _shown()))]


def get(tx: Transaction, uuid: str) -> OperationRecord:
    row = tx.execute(_select(_conditions(operations.now())).where(Table.uuid == uuid)).one_or_none()
    if row is None:
        raise errors.NotFound(f"There is no operation {uuid}; one that is done is gone.")
    return _record(row)


def _select(conditions: Mapping[State, ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    state = case(*((holds, str(state)) for state, holds in conditions.items()))
    return select(Table, state.label("state")).where(_shown())


def _shown() -> ColumnElement[bool]:
    return ~Table.kind.startswith(operations.TURN)


def _conditions(moment: datetime.datetime) -> dict[State, ColumnElement[bool]]:
    """Of each state; one holds. They are plain, so that a server knows how many rows they let through."""
    open_ = Table.ended_at.is_(None)
    idle = and_(open_, or_(Table.lease_until.is_(None), Table.lease_until <= moment))
    return {
        State.DUE: and_(idle, Table.next_at <= moment),
        State.RUNNING: and_(open_, Table.lease_until > moment),
        State.WAITING: and_(idle, Table.next_at > moment),
        State.FAILED: Table.ended_at.is_not(None),
    }


def _record(row: Row[*tuple[Any, ...]]) -> OperationRecord:
    return OperationRecord(
        id=row.id,
        uuid=row.uuid,
        kind=row.kind,
        state=row.state,
        hostname=row.hostname,
        subject=row.subject,
        attempts=row.attempts,
        last_error=row.last_error,
        next_at=row.next_at,
        deadline=row.deadline,
        ended_at=row.ended_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
