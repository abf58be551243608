# SPDX-License-Identifier: Apache-2.0
"""Accelerator requests: each change is one statement that checks the state it leaves, and counts.

found = arqs.lock(tx, uuids)                    # first the requests, then their hosts: always in this order
arqs.hold_instance(tx, instance, hostname)      # AlreadyBound when another bind was first
...                                             # claim accelerators under the host's lock
if arqs.bind(tx, bindings) != len(bindings):    # somebody else moved one of them: raise, and undo all
"""

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import oslo_db.exception as oslo
from sqlalchemy import ColumnElement, case, exists, func, insert, select, update
from sqlalchemy import delete as sql_delete

from cyborg.domain import arq, errors
from cyborg.store import paging
from cyborg.store.arq_rows import STATE_TIMES, arq_of, row_of
from cyborg.store.columns import now
from cyborg.store.engine import Transaction
from cyborg.store.models import Accelerator, Arq, Instance

SORTS = {"id": Arq.id, "uuid": Arq.uuid, "state": Arq.state, "created_at": Arq.created_at}
#: Nobody waits for a request in these states.
IDLE = (arq.State.INITIAL, arq.State.UNBOUND)
#: Of a request that is on no host.
UNPLACED: Mapping[str, None] = dict.fromkeys(("hostname", "device_rp_uuid", "instance_uuid", "fault"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """None does not filter; an empty collection matches nothing."""

    uuids: Collection[str] | None = None
    instance_uuid: str | None = None
    project_id: str | None = None
    states: Collection[arq.State] | None = None
    hostname: str | None = None
    profile_name: str | None = None


ANY = Filter()


def create(tx: Transaction, arqs: Sequence[arq.Arq]) -> None:
    """Any number in one statement; AlreadyExists for a uuid that is taken. The times are the store's to set."""
    if not arqs:
        return
    try:
        tx.execute(insert(Arq), [row_of(request) for request in arqs])
    except oslo.DBDuplicateEntry as error:
        raise errors.AlreadyExists("An accelerator request with one of these uuids exists already.") from error


def get(tx: Transaction, uuids: Collection[str], *, lock: bool = False) -> dict[str, arq.Arq]:
    """Those that exist, by uuid. With ``lock`` nobody else changes them, or what they hold, until ``tx`` ends."""
    if lock:
        _lock(tx, Arq.uuid.in_(uuids))
    return {request.uuid: request for request in page(tx, Filter(uuids=uuids))}


def of_instance(tx: Transaction, instance_uuid: str, *, lock: bool = False) -> dict[str, arq.Arq]:
    """The requests of an instance, whosoever they are, by uuid; ``lock`` as in `get`."""
    if lock:
        _lock(tx, Arq.instance_uuid == instance_uuid)
    return {request.uuid: request for request in page(tx, Filter(instance_uuid=instance_uuid))}


def bound_instances(tx: Transaction, instance_uuids: Collection[str]) -> frozenset[str]:
    """Those of the instances that have requests on some host."""
    found = select(Arq.instance_uuid).where(Arq.instance_uuid.in_(instance_uuids), Arq.hostname.is_not(None))
    return frozenset(uuid for uuid in tx.execute(found.distinct()).scalars() if uuid)


def page(tx: Transaction, wanted: Filter = ANY, part: paging.Page = paging.ALL) -> list[arq.Arq]:
    scope = None if wanted.project_id is None else Arq.project_id == wanted.project_id
    statement = paging.cut(tx, select(Arq).where(*_conditions(wanted)), part, SORTS, scope)
    cut = statement.subquery("page")
    rows = (
        select(
            cut,
            Accelerator.uuid.label("handle_uuid"),
            Accelerator.type.label("handle_type"),
            Accelerator.info.label("handle_info"),
            Accelerator.attached.label("handle_attached"),
        )
        .outerjoin(Accelerator, Accelerator.arq_uuid == cut.c.uuid)
        .order_by(*paging.order(part, SORTS, cut.c))
    )
    return [arq_of(row) for row in tx.execute(rows)]


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    equal = {
        Arq.instance_uuid: wanted.instance_uuid,
        Arq.project_id: wanted.project_id,
        Arq.hostname: wanted.hostname,
        Arq.profile_name: wanted.profile_name,
    }
    found = [column == value for column, value in equal.items() if value is not None]
    if wanted.uuids is not None:
        found.append(Arq.uuid.in_(wanted.uuids))
    if wanted.states is not None:
        found.append(Arq.state.in_(wanted.states))
    return found


def bind(
    tx: Transaction,
    bindings: Sequence[arq.Binding],
    *,
    state: arq.State = arq.State.BOUND,
) -> int:
    """How many were in a state that may be bound and now are ``state``; a binding without a project keeps the owner."""
    if not bindings:
        return 0
    values: dict[str, Any] = {
        **_entering(state),
        "fault": None,
        "hostname": case({item.arq_uuid: item.hostname for item in bindings}, value=Arq.uuid),
        "device_rp_uuid": case({item.arq_uuid: item.device_rp_uuid for item in bindings}, value=Arq.uuid),
        "instance_uuid": case({item.arq_uuid: item.instance_uuid for item in bindings}, value=Arq.uuid),
    }
    given = {item.arq_uuid: item.project_id for item in bindings if item.project_id is not None}
    if given:
        values["project_id"] = case(given, value=Arq.uuid, else_=Arq.project_id)
    uuids = [item.arq_uuid for item in bindings]
    statement = update(Arq).where(Arq.uuid.in_(uuids), Arq.state.in_(arq.BINDABLE)).values(values)
    return tx.execute(statement).rowcount


def set_providers(tx: Transaction, providers: Mapping[str, str]) -> int:
    """How many requests, by uuid, that hold something now have the provider given for them."""
    if not providers:
        return 0
    statement = update(Arq).where(Arq.uuid.in_(providers), Arq.state.in_(arq.HOLDING))
    return tx.execute(statement.values(device_rp_uuid=case(dict(providers), value=Arq.uuid))).rowcount


def move(tx: Transaction, uuids: Collection[str], state: arq.State, *, fault: str | None = None) -> int:
    """How many were in a state that ``state`` may follow, and followed; the binding stays as it is."""
    statement = (
        update(Arq).where(Arq.uuid.in_(uuids), Arq.state.in_(_before(state))).values(**_entering(state), fault=fault)
    )
    return tx.execute(statement).rowcount


def undo(tx: Transaction, former: Mapping[str, arq.Former]) -> int:
    """How many were BindStarted and are again what they were, by uuid; not while one still holds an accelerator."""
    if not former:
        return 0
    values: dict[str, Any] = {
        "state": case({uuid: str(one.state) for uuid, one in former.items()}, value=Arq.uuid),
        "project_id": case({uuid: one.project_id for uuid, one in former.items()}, value=Arq.uuid),
        **UNPLACED,
    }
    mine = (Arq.uuid.in_(former), Arq.state == arq.State.BIND_STARTED, ~_holding())
    return tx.execute(update(Arq).where(*mine).values(values)).rowcount


def unbind(tx: Transaction, uuids: Collection[str]) -> int:
    """How many are Unbound now; one that still holds an accelerator is not: release it first, by `hosts.save`."""
    statement = (
        update(Arq)
        .where(Arq.uuid.in_(uuids), Arq.state.in_(_before(arq.State.UNBOUND)), ~_holding())
        .values(**_entering(arq.State.UNBOUND), **UNPLACED)
    )
    return tx.execute(statement).rowcount


def delete(tx: Transaction, uuids: Collection[str]) -> int:
    """How many are gone; one that still holds an accelerator stays: release it first, by `hosts.save`."""
    return tx.execute(sql_delete(Arq).where(Arq.uuid.in_(uuids), ~_holding())).rowcount


def expire(tx: Transaction, before: datetime.datetime, limit: int) -> int:
    """How many requests are gone that were not bound since ``before``, at most ``limit``; call it again until fewer.

    There are never many in these states, and an index leads to them.
    """
    idle = (Arq.state.in_(IDLE), func.coalesce(Arq.unbound_at, Arq.created_at) < before, ~_holding())
    ids = tx.execute(select(Arq.id).where(*idle).order_by(Arq.id).limit(limit)).scalars().all()
    return tx.execute(sql_delete(Arq).where(Arq.id.in_(ids), *idle)).rowcount if ids else 0


def hold_instance(tx: Transaction, instance_uuid: str, hostname: str) -> None:
    """Be the only bind for the instance; AlreadyBound when it has requests bound, or being bound, already."""
    try:
        tx.execute(insert(Instance).values(instance_uuid=instance_uuid, hostname=hostname))
    except oslo.DBDuplicateEntry as error:
        raise errors.AlreadyBound(
            f"Instance {instance_uuid} has accelerator requests already. All requests of an instance are bound in one "
            "call; unbind or delete the earlier ones first."
        ) from error


def leave_instances(tx: Transaction, instance_uuids: Collection[str]) -> int:
    """How many instances have no request left and may be bound anew.

    The rows are locked before the requests are looked at: of two calls that each take away one of the last
    two requests, the later one sees both gone. Three statements, because MariaDB would lock the requests that
    it looks at in a DELETE, against the order of all others.
    """
    rows = select(Instance.instance_uuid).where(Instance.instance_uuid.in_(instance_uuids))
    held = set(tx.execute(rows.order_by(Instance.instance_uuid).with_for_update()).scalars())
    if not held:
        return 0
    used = set(tx.execute(select(Arq.instance_uuid).where(Arq.instance_uuid.in_(held))).scalars())
    if held == used:
        return 0
    return tx.execute(sql_delete(Instance).where(Instance.instance_uuid.in_(held - used))).rowcount


def _lock(tx: Transaction, which: ColumnElement[bool]) -> None:
    """A statement of its own: what is read after it is what the previous owner of the rows committed.

    Always before the lock of a host and always in one order, so that two calls never wait for each other.
    """
    tx.execute(select(Arq.id).where(which).order_by(Arq.id).with_for_update())


def _entering(state: arq.State) -> dict[str, Any]:
    noted = STATE_TIMES.get(state)
    return {"state": state} if noted is None else {"state": state, noted.key: now()}


def _before(state: arq.State) -> list[arq.State]:
    return [earlier for earlier in arq.State if arq.may_follow(earlier, state)]


def _holding() -> ColumnElement[bool]:
    return exists().where(Accelerator.arq_uuid == Arq.uuid)
