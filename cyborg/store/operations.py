# SPDX-License-Identifier: Apache-2.0
"""Durable work: recorded in the transaction that makes it necessary, done by whichever conductor takes it.

    add  ──>  due  ──take_due──>  leased by one owner  ──finish──>  gone
               ^                        │ │ └──give_up──>  kept for a while, to be read  ──purge──>  gone
               │                        │ renew: it takes longer
               └── postpone, or the owner died and its lease ran out

Work that recurs is a *turn*: one row for ever, taken by name, by one owner at a time, and never due as an operation.

An owner that lost its lease finds out: what it does to the row changes nothing and says False.
"""

import dataclasses
import datetime
import uuid as uuid_module
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import oslo_db.exception as oslo
from sqlalchemy import ColumnElement, Row, and_, delete, insert, or_, select, update

from cyborg.store import columns
from cyborg.store.engine import Transaction
from cyborg.store.models import Operation as Table

#: The kind of a turn is this and its name.
TURN = "turn:"
#: The clock by which leases and due times are set and read.
now = columns.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """``attempts`` counts those that failed; ``last_error`` says how the last of them did.

    It is about ``subject`` (a server or an accelerator) on ``hostname``; None for none.
    """

    uuid: str
    kind: str
    payload: Mapping[str, Any]
    owner: str | None
    lease_until: datetime.datetime | None
    attempts: int
    next_at: datetime.datetime
    deadline: datetime.datetime | None
    last_error: str | None
    hostname: str | None = None
    subject: str | None = None


def new(
    *,
    kind: str,
    payload: Mapping[str, Any],
    uuid: str | None = None,
    hostname: str | None = None,
    subject: str | None = None,
    owner: str | None = None,
    lease_until: datetime.datetime | None = None,
    next_at: datetime.datetime | None = None,
    deadline: datetime.datetime | None = None,
) -> Operation:
    """Work to `add`; with an owner and a lease it is that owner's from the start, else anybody's when due."""
    return Operation(
        uuid=uuid or str(uuid_module.uuid4()),
        kind=kind,
        payload=payload,
        owner=owner,
        lease_until=lease_until,
        attempts=0,
        next_at=next_at or now(),
        deadline=deadline,
        last_error=None,
        hostname=hostname,
        subject=subject,
    )


def add(tx: Transaction, work: Sequence[Operation]) -> None:
    """Any number in one statement."""
    if work:
        tx.execute(insert(Table), [_row(one) for one in work])


def take_due(
    tx: Transaction,
    *,
    owner: str,
    lease_until: datetime.datetime,
    limit: int = 50,
    moment: datetime.datetime | None = None,
    kinds: Collection[str] | None = None,
) -> list[Operation]:
    """Up to ``limit`` operations that are due and that nobody works on, now leased by ``owner``; oldest first.

    ``owner`` must be unique to the process. What another one takes at this moment is passed over, not waited for. With
    ``kinds``, only of those.
    """
    statement = select(Table).where(_free(moment or now())).order_by(Table.next_at, Table.id).limit(limit)
    if kinds is not None:
        statement = statement.where(Table.kind.in_(kinds))
    rows = tx.execute(statement.with_for_update(skip_locked=True)).all()
    if rows:
        taken = update(Table).where(Table.id.in_([row.id for row in rows]))
        tx.execute(taken.values(owner=owner, lease_until=lease_until))
    return [_operation(row, owner, lease_until) for row in rows]


def late(tx: Transaction, moment: datetime.datetime, limit: int = 100) -> list[Operation]:
    """Those that should be over by now and are not, the oldest first."""
    overdue = select(Table).where(Table.deadline < moment, Table.ended_at.is_(None))
    statement = overdue.order_by(Table.id).limit(limit)
    return [_operation(row, row.owner, row.lease_until) for row in tx.execute(statement)]


def finish(tx: Transaction, one: Operation, *, owner: str) -> bool:
    """Done, and gone; False when the lease was lost, and with it the right to say so."""
    return tx.execute(delete(Table).where(_mine(one, owner))).rowcount == 1


def renew(tx: Transaction, uuids: Collection[str], *, owner: str, lease_until: datetime.datetime) -> int:
    """Hold several for longer; how many are still the owner's."""
    mine = update(Table).where(Table.uuid.in_(uuids), Table.owner == owner, Table.ended_at.is_(None))
    return tx.execute(mine.values(lease_until=lease_until)).rowcount


def let_go(tx: Transaction, uuids: Collection[str], *, owner: str) -> int:
    """How many of the owner's are anybody's from now on, without having been tried."""
    mine = update(Table).where(Table.uuid.in_(uuids), Table.owner == owner)
    return tx.execute(mine.values(owner=None, lease_until=None)).rowcount if uuids else 0


def give_up(tx: Transaction, one: Operation, *, owner: str, error: str) -> bool:
    """Over without success: never due again, and kept to be read until `purge`; False when the lease was lost."""
    values = {
        "owner": None,
        "lease_until": None,
        "attempts": Table.attempts + 1,
        "last_error": error,
        "ended_at": now(),
    }
    return tx.execute(update(Table).where(_mine(one, owner)).values(values)).rowcount == 1


def purge(tx: Transaction, before: datetime.datetime, limit: int) -> int:
    """How many that were given up before that are gone now, at most ``limit``; call it again until fewer."""
    ended = Table.ended_at < before
    ids = tx.execute(select(Table.id).where(ended).order_by(Table.id).limit(limit)).scalars().all()
    return tx.execute(delete(Table).where(Table.id.in_(ids), ended)).rowcount if ids else 0


def hasten(tx: Transaction, hostname: str) -> int:
    """How many that wait for their next attempt on that host are due now."""
    waiting = (Table.hostname == hostname, Table.ended_at.is_(None), Table.lease_until.is_(None))
    moment = now()
    return tx.execute(update(Table).where(*waiting, Table.next_at > moment).values(next_at=moment)).rowcount


def postpone(
    tx: Transaction,
    one: Operation,
    *,
    owner: str,
    error: str,
    next_at: datetime.datetime,
    payload: Mapping[str, Any] | None = None,
) -> bool:
    """It failed: give it back, to be taken from ``next_at`` on; False when the lease was lost.

    ``payload`` is another one that it has from now on.
    """
    values: dict[str, Any] = {
        "owner": None,
        "lease_until": None,
        "attempts": Table.attempts + 1,
        "next_at": next_at,
        "last_error": error,
        **({} if payload is None else {"payload": dict(payload)}),
    }
    return tx.execute(update(Table).where(_mine(one, owner)).values(values)).rowcount == 1


def take_turn(
    tx: Transaction, name: str, *, owner: str, lease_until: datetime.datetime, moment: datetime.datetime | None = None
) -> Operation | None:
    """The turn, now leased by ``owner``; None when it is not due or somebody else's."""
    kind = f"{TURN}{name}"
    key = str(uuid_module.uuid5(uuid_module.NAMESPACE_OID, kind))
    mine = update(Table).where(Table.uuid == key, _open(moment or now()))
    if not tx.execute(mine.values(owner=owner, lease_until=lease_until)).rowcount:
        first = dataclasses.replace(new(kind=kind, payload={}, owner=owner, lease_until=lease_until), uuid=key)
        try:
            with tx.begin_nested():
                add(tx, [first])
        except oslo.DBDuplicateEntry:
            return None
    return _operation(tx.execute(select(Table).where(Table.uuid == key)).one(), owner, lease_until)


def keep_turn(tx: Transaction, one: Operation, *, owner: str, lease_until: datetime.datetime) -> bool:
    """Hold it for longer; False when the lease was lost."""
    return tx.execute(update(Table).where(_mine(one, owner)).values(lease_until=lease_until)).rowcount == 1


def end_turn(
    tx: Transaction, one: Operation, *, owner: str, next_at: datetime.datetime, payload: Mapping[str, Any]
) -> bool:
    """Give it back until ``next_at``, with what the next owner should know; False when the lease was lost."""
    values = {"owner": None, "lease_until": None, "next_at": next_at, "payload": dict(payload)}
    return tx.execute(update(Table).where(_mine(one, owner)).values(values)).rowcount == 1


def _free(moment: datetime.datetime) -> ColumnElement[bool]:
    return and_(_open(moment), Table.ended_at.is_(None), ~Table.kind.startswith(TURN))


def _open(moment: datetime.datetime) -> ColumnElement[bool]:
    return and_(Table.next_at <= moment, or_(Table.lease_until.is_(None), Table.lease_until <= moment))


def _mine(one: Operation, owner: str) -> ColumnElement[bool]:
    return and_(Table.uuid == one.uuid, Table.owner == owner)


def _row(one: Operation) -> dict[str, Any]:
    return {
        "uuid": one.uuid,
        "kind": one.kind,
        "payload": dict(one.payload),
        "owner": one.owner,
        "lease_until": one.lease_until,
        "attempts": one.attempts,
        "next_at": one.next_at,
        "deadline": one.deadline,
        "last_error": one.last_error,
        "hostname": one.hostname,
        "subject": one.subject,
    }


def _operation(row: Row[*tuple[Any, ...]], owner: str | None, until: datetime.datetime | None) -> Operation:
    return Operation(
        uuid=row.uuid,
        kind=row.kind,
        payload=row.payload,
        owner=owner,
        lease_until=until,
        attempts=row.attempts,
        next_at=row.next_at,
        deadline=row.deadline,
        last_error=row.last_error,
        hostname=row.hostname,
        subject=row.subject,
    )
