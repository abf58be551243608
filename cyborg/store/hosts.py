# SPDX-License-Identifier: Apache-2.0
"""Hosts: whoever decides on one holds the lock of its row, and writes what the decision changed.

    before = hosts.load(tx, "compute-1")             # three statements, however much hardware
    after = reconcile.plan(before, report)
    after = hosts.save(tx, before, after)            # the difference; ids filled in

`sync` is the road of the unchanged report: it decides nothing, so it takes no lock that waits.
"""

import uuid as uuid_module
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import oslo_db.exception as oslo
from sqlalchemy import Row, insert, select, update

from cyborg.domain import errors, inventory
from cyborg.domain.shape import DEFAULT_SHAPE, Shape
from cyborg.store import host_changes, host_rows
from cyborg.store.columns import now
from cyborg.store.engine import Transaction
from cyborg.store.models import Accelerator, Deployable, Device, Host, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """Which drivers must send a full report, and the generation of the view the host should show.

    ``digests`` are those in the books, by driver; ``shape`` is how the host is shown.
    """

    stale: tuple[str, ...]
    generation: int
    digests: Mapping[str, str]
    shape: Shape = DEFAULT_SHAPE


def load(tx: Transaction, name: str) -> inventory.Host | None:
    """The host, locked until ``tx`` ends; None when it never reported."""
    row = tx.execute(select(Host).where(Host.name == name).with_for_update()).one_or_none()
    return None if row is None else host_rows.read(tx, row)


def get_or_create(tx: Transaction, name: str) -> inventory.Host:
    """The host, locked; an empty one when it is new."""
    found = load(tx, name)
    if found is None:
        _create(tx, name, provider_uuid=None)
        found = load(tx, name)
    if found is None:
        raise errors.Unavailable(f"Host {name} was removed just now; try again.")
    return found


def save(tx: Transaction, before: inventory.Host, after: inventory.Host) -> inventory.Host:
    """Write what differs; ``before`` is what `load` gave in this transaction. The host as it is stored now.

    Raises Conflict, for the transaction to be undone, when a holder is not the one that ``before`` says or a
    request would hold two accelerators; NotFound when the request of a new holder is gone.
    """
    return host_changes.write(tx, before, after)


def names_of_arqs(tx: Transaction, arq_uuids: Collection[str]) -> tuple[str, ...]:
    """The hosts on which those requests hold accelerators, in the order in which to lock them."""
    statement = (
        select(Host.name)
        .join(Device, Device.host_id == Host.id)
        .join(Deployable, Deployable.device_id == Device.id)
        .join(Accelerator, Accelerator.deployable_id == Deployable.id)
        .where(Accelerator.arq_uuid.in_(arq_uuids))
        .distinct()
        .order_by(Host.name)
    )
    return tuple(tx.execute(statement).scalars())


def names(tx: Transaction, after: str = "", limit: int = 50) -> tuple[str, ...]:
    """The next names in order."""
    return tuple(tx.execute(select(Host.name).where(Host.name > after).order_by(Host.name).limit(limit)).scalars())


def of_device(tx: Transaction, device_uuid: str) -> str | None:
    statement = select(Host.name).join(Device, Device.host_id == Host.id).where(Device.uuid == device_uuid)
    return tx.execute(statement).scalar_one_or_none()


def sync(
    tx: Transaction,
    name: str,
    provider_uuid: str | None,
    digests: Mapping[str, str],
    shape: Shape = DEFAULT_SHAPE,
) -> Sync:
    """Note that the host was seen; two statements when nothing changed.

    ``provider_uuid`` None means that the agent does not know it now: what is stored stays. A driver with the digest ""
    could not look, so nothing is asked of it. ``shape`` is that of a host that is new.
    """
    rows = _with_digests(tx, name)
    if not rows:
        _create(tx, name, provider_uuid=provider_uuid, shape=shape)
        rows = _with_digests(tx, name)
    host = rows[0]
    values: dict[str, Any] = {"seen_at": now()}
    found = provider_uuid is not None and provider_uuid != host.provider_uuid
    if found:
        values |= {"provider_uuid": provider_uuid, "generation": Host.generation + 1}
    tx.execute(update(Host).where(Host.id == host.id).values(values))
    stored = {row.driver: row.digest for row in rows if row.driver is not None}
    stale = tuple(driver for driver, digest in digests.items() if digest and stored.get(driver) != digest)
    return Sync(stale=stale, generation=host.generation + found, digests=stored, shape=host_rows.shape(host))


def set_digest(tx: Transaction, host: inventory.Host, driver: str, digest: str) -> None:
    """Remember the report that is in the books now; "" when it is not settled and must be sent again."""
    values = {"digest": digest, "reported_at": now()}
    known = update(Report).where(Report.host_id == host.id, Report.driver == driver).values(values)
    if not tx.execute(known).rowcount:
        tx.execute(insert(Report).values(host_id=host.id, driver=driver, **values))


def _with_digests(tx: Transaction, name: str) -> list[Row[*tuple[Any, ...]]]:
    statement = (
        select(Host.id, Host.generation, Host.provider_uuid, Host.layout, Host.naming, Report.driver, Report.digest)
        .outerjoin(Report, Report.host_id == Host.id)
        .where(Host.name == name)
    )
    return list(tx.execute(statement))


def _create(tx: Transaction, name: str, provider_uuid: str | None, shape: Shape = DEFAULT_SHAPE) -> None:
    """Two reports may create the host at once: the savepoint lets the second one go on with the first one's."""
    try:
        with tx.begin_nested():
            tx.execute(
                insert(Host).values(
                    uuid=str(uuid_module.uuid4()),
                    name=name,
                    provider_uuid=provider_uuid,
                    layout=shape.layout,
                    naming=shape.naming,
                )
            )
    except oslo.DBDuplicateEntry:
        return
