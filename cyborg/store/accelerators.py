# SPDX-License-Identifier: Apache-2.0
"""Accelerators as lists show them: place, state and holder of each; they change in `cyborg.store.hosts`."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, ScalarSelect, Select, and_, case, func, literal_column, or_, select

from cyborg.domain import errors, inventory, report
from cyborg.store import columns, devices, paging
from cyborg.store.engine import Transaction
from cyborg.store.models import Accelerator, Arq, Deployable, Device, Host
from cyborg.store.records import AcceleratorRecord

SORTS = {"id": Accelerator.id, "uuid": Accelerator.uuid, "created_at": Accelerator.created_at}
_STATE = inventory.AcceleratorState


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """``states`` are worked out for each accelerator on the way: a page of a rare state costs a walk."""

    deployable_uuid: str | None = None
    device_uuid: str | None = None
    hostname: str | None = None
    states: Collection[str] | None = None


ANY = Filter()


def page(tx: Transaction, wanted: Filter = ANY, part: paging.Page = paging.ALL) -> list[AcceleratorRecord]:
    statement = select(Accelerator)
    if wanted.deployable_uuid is not None:
        deployable = select(Deployable.id).where(Deployable.uuid == wanted.deployable_uuid).scalar_subquery()
        statement = statement.where(Accelerator.deployable_id == deployable)
    if wanted.device_uuid is not None:
        device = select(Device.id).where(Device.uuid == wanted.device_uuid).scalar_subquery()
        parts = select(Deployable.id).where(Deployable.device_id == device)
        statement = statement.where(Accelerator.deployable_id.in_(parts))
    if wanted.hostname is not None:
        host = devices.host_id(wanted.hostname)
        parts = select(Deployable.id).join(Device, Device.id == Deployable.device_id).where(Device.host_id == host)
        statement = statement.where(Accelerator.deployable_id.in_(parts))
    if wanted.states is not None:
        statement = statement.where(_state_of_row().in_(wanted.states))
    return _read(tx, paging.cut(tx, statement, part, SORTS), part)


def get(tx: Transaction, uuid: str) -> AcceleratorRecord:
    found = _read(tx, select(Accelerator).where(Accelerator.uuid == uuid), paging.ALL)
    if not found:
        raise errors.NotFound(f"There is no accelerator {uuid}.")
    return found[0]


def count_by_state(tx: Transaction, host_ids: list[int]) -> dict[int, dict[str, int]]:
    """How many accelerators each host has, by state."""
    counts = (
        select(Device.host_id, _state(Accelerator).label("state"), func.count().label("number"))
        .select_from(Accelerator)
        .join(Deployable, Deployable.id == Accelerator.deployable_id)
        .join(Device, Device.id == Deployable.device_id)
        .join(Host, Host.id == Device.host_id)
        .where(Device.host_id.in_(host_ids))
        .group_by(Device.host_id, literal_column("state"))
    )
    found: dict[int, dict[str, int]] = {host_id: {} for host_id in host_ids}
    for row in tx.execute(counts):
        found[row.host_id][row.state] = row.number
    return found


def _state(unit: Any) -> Any:
    """As `inventory.Device.state` says it; a test holds the two equal. ``unit`` are the columns of the accelerator."""
    closed = or_(Host.status == inventory.HostStatus.DISABLED, Device.status == inventory.DeviceStatus.MAINTAINING)
    return case(
        (unit.missing, str(_STATE.MISSING)),
        (and_(unit.arq_uuid.is_not(None), unit.work.is_not(None)), str(_STATE.RESERVED)),
        (unit.arq_uuid.is_not(None), str(_STATE.HELD)),
        (unit.quarantine.is_not(None), str(_STATE.FAILED)),
        (unit.work.is_not(None), str(_STATE.CLEANING)),
        (closed, str(_STATE.DISABLED)),
        (Device.absences > 0, str(_STATE.MISSING)),
        (Device.health == report.Health.FAILED, str(_STATE.FAILED)),
        else_=str(_STATE.FREE),
    )


def _state_of_row() -> ScalarSelect[str]:
    """A query for each row, so that rows are read in order until the page is full, and not gathered and sorted."""
    return (
        select(_state(Accelerator))
        .select_from(Deployable)
        .join(Device, Device.id == Deployable.device_id)
        .join(Host, Host.id == Device.host_id)
        .where(Deployable.id == Accelerator.deployable_id)
        .correlate(Accelerator)
        .scalar_subquery()
    )


def _read(tx: Transaction, statement: Select[*tuple[Any, ...]], part: paging.Page) -> list[AcceleratorRecord]:
    cut = statement.subquery("page")
    rows = (
        select(
            cut,
            _state(cut.c).label("state"),
            Deployable.uuid.label("deployable_uuid"),
            Device.uuid.label("device_uuid"),
            Host.name.label("hostname"),
            Arq.instance_uuid.label("instance_uuid"),
            Arq.project_id.label("project_id"),
        )
        .join(Deployable, Deployable.id == cut.c.deployable_id)
        .join(Device, Device.id == Deployable.device_id)
        .join(Host, Host.id == Device.host_id)
        .outerjoin(Arq, Arq.uuid == cut.c.arq_uuid)
        .order_by(*paging.order(part, SORTS, cut.c))
    )
    return [_record(row) for row in tx.execute(rows)]


def _record(row: Row[*tuple[Any, ...]]) -> AcceleratorRecord:
    return AcceleratorRecord(
        id=row.id,
        uuid=row.uuid,
        key=row.key,
        type=row.type,
        info=columns.as_object(row.info),
        state=_STATE(row.state),
        deployable_uuid=row.deployable_uuid,
        device_uuid=row.device_uuid,
        hostname=row.hostname,
        arq_uuid=row.arq_uuid,
        instance_uuid=row.instance_uuid,
        project_id=row.project_id,
        fault=row.quarantine,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
