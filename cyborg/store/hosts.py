# SPDX-License-Identifier: Apache-2.0
"""Hosts: whoever decides on one holds the lock of its row, and writes what the decision changed.

    before = hosts.load(tx, "compute-1")             # three statements, however much hardware
    after = reconcile.plan(before, report)
    after = hosts.save(tx, before, after)            # the difference; ids filled in

`sync` is the road of the unchanged report: it decides nothing, so it takes no lock that waits.
"""

import datetime
import uuid as uuid_module
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import oslo_db.exception as oslo
from sqlalchemy import Row, case, insert, select, update

from cyborg.domain import errors, inventory
from cyborg.domain.shape import DEFAULT_SHAPE, Shape
from cyborg.store import host_changes, host_rows
from cyborg.store.columns import now
from cyborg.store.engine import Transaction
from cyborg.store.models import Accelerator, Deployable, Device, Host, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """Which drivers must send a full report, and the generation of the view the host should show.

    ``digests`` are those in the books, by driver; ``shape`` is how the host is shown. ``sequences`` tell of each driver
    that was asked for how many reports were stored, and ``returned`` that the host was down until now.
    """

    stale: tuple[str, ...]
    generation: int
    digests: Mapping[str, str]
    shape: Shape = DEFAULT_SHAPE
    sequences: Mapping[str, int] = field(default_factory=dict)
    returned: bool = False


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
    found = provider_uuid is not None and provider_uuid != host.provider_uuid
    _note(tx, host.id, provider_uuid if found else None)
    returned = host.down_since is not None
    stored = {row.driver: row.digest for row in rows if row.driver is not None}
    numbers = {row.driver: row.sequence for row in rows}
    return Sync(
        stale=tuple(driver for driver, digest in digests.items() if digest and stored.get(driver) != digest),
        generation=host.generation + found + returned,
        digests=stored,
        shape=host_rows.shape(host),
        sequences={driver: numbers.get(driver, 0) for driver in digests},
        returned=returned,
    )


def silent(tx: Transaction, before: datetime.datetime, limit: int) -> tuple[str, ...]:
    """Hosts that were heard of last before that, and are not known to be down yet."""
    quiet = select(Host.name).where(Host.seen_at < before, Host.down_since.is_(None))
    return tuple(tx.execute(quiet.order_by(Host.name).limit(limit)).scalars())


def any_heard(tx: Transaction, since: datetime.datetime) -> bool:
    """Whether any agent spoke since then."""
    return tx.execute(select(Host.id).where(Host.seen_at >= since).limit(1)).first() is not None


def set_digest(tx: Transaction, host: inventory.Host, driver: str, digest: str, sequence: int | None = None) -> None:
    """Remember the report that is in the books now; "" when it is not settled and must be sent again.

    ``sequence`` is how many reports were stored when it was asked for; Conflict, for the transaction to be undone,
    when it was overtaken by another one since.
    """
    values = {"digest": digest, "reported_at": now(), "sequence": Report.sequence + 1}
    mine = (Report.host_id == host.id, Report.driver == driver)
    known = update(Report).where(*mine).values(values)
    if tx.execute(known if sequence is None else known.where(Report.sequence == sequence)).rowcount:
        return
    if tx.execute(select(Report.id).where(*mine)).first() is not None:
        raise errors.Conflict(
            f"This report of driver {driver} on host {host.name} is out of date: another one was stored since it was "
            "asked for. Nothing is lost, the agent reports again; see that there is one agent of that name only."
        )
    tx.execute(insert(Report).values(host_id=host.id, driver=driver, **values | {"sequence": 1}))


def ask_again(tx: Transaction, host: inventory.Host, driver: str) -> None:
    """The agent sends the report of that driver with its next sign of life, whatever is in it."""
    tx.execute(update(Report).where(Report.host_id == host.id, Report.driver == driver).values(digest=""))


def _note(tx: Transaction, host_id: int, provider_uuid: str | None) -> None:
    """The host was heard of, so it is up, whatever another conductor found in this moment.

    The generation is set first: MariaDB and MySQL see the columns as the assignments before have left them.
    """
    known = Host.generation + int(provider_uuid is not None)
    values: list[tuple[Any, Any]] = [
        (Host.generation, case((Host.down_since.is_not(None), known + 1), else_=known)),
        (Host.down_since, None),
        (Host.seen_at, now()),
    ]
    if provider_uuid is not None:
        values.append((Host.provider_uuid, provider_uuid))
    tx.execute(update(Host).where(Host.id == host_id).ordered_values(*values))


def _with_digests(tx: Transaction, name: str) -> list[Row[*tuple[Any, ...]]]:
    statement = (
        select(
            Host.id,
            Host.generation,
            Host.provider_uuid,
            Host.layout,
            Host.naming,
            Host.down_since,
            Report.driver,
            Report.digest,
            Report.sequence,
        )
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
