# SPDX-License-Identifier: Apache-2.0
"""Devices as lists show them; they are written with their host, in `cyborg.store.hosts`."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, ScalarSelect, Select, select

from cyborg.domain import errors
from cyborg.store import columns, paging
from cyborg.store.engine import Transaction
from cyborg.store.models import Device, Host
from cyborg.store.records import DeviceRecord

SORTS = {
    "id": Device.id,
    "uuid": Device.uuid,
    "type": Device.type,
    "vendor": Device.vendor,
    "model": Device.model,
    "status": Device.status,
    "created_at": Device.created_at,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    type: str | None = None
    vendor: str | None = None
    hostname: str | None = None
    model: str | None = None
    status: str | None = None


ANY = Filter()


def page(tx: Transaction, wanted: Filter = ANY, part: paging.Page = paging.ALL) -> list[DeviceRecord]:
    members = {"type": Device.type, "vendor": Device.vendor, "model": Device.model, "status": Device.status}
    statement = select(Device).where(
        *(column == getattr(wanted, name) for name, column in members.items() if getattr(wanted, name) is not None)
    )
    if wanted.hostname is not None:
        statement = statement.where(Device.host_id == host_id(wanted.hostname))
    return _read(tx, paging.cut(tx, statement, part, SORTS), part)


def get(tx: Transaction, uuid: str) -> DeviceRecord:
    found = _read(tx, select(Device).where(Device.uuid == uuid), paging.ALL)
    if not found:
        raise errors.NotFound(f"There is no device {uuid}.")
    return found[0]


def check_generation(tx: Transaction, uuid: str, generation: int) -> None:
    """Return when the device is at ``generation``, else Conflict; stays true while the lock of its host is held."""
    found = tx.execute(select(Device.generation).where(Device.uuid == uuid)).scalar_one_or_none()
    if found != generation:
        raise errors.Conflict(
            f"Device {uuid} is at generation {found}, not {generation}: it has changed since it was read. "
            "Read it again."
        )


def host_id(hostname: str) -> ScalarSelect[int]:
    """The id of the host with that name, in a statement; null when there is none."""
    return select(Host.id).where(Host.name == hostname).scalar_subquery()


def _read(tx: Transaction, statement: Select[*tuple[Any, ...]], part: paging.Page) -> list[DeviceRecord]:
    cut = statement.subquery("page")
    rows = (
        select(cut, Host.name.label("hostname"))
        .join(Host, Host.id == cut.c.host_id)
        .order_by(*paging.order(part, SORTS, cut.c))
    )
    return [_record(row) for row in tx.execute(rows)]


def _record(row: Row[*tuple[Any, ...]]) -> DeviceRecord:
    return DeviceRecord(
        id=row.id,
        uuid=row.uuid,
        hostname=row.hostname,
        driver=row.driver,
        address=row.address,
        serial=row.serial,
        type=row.type,
        vendor=row.vendor,
        model=row.model,
        numa_node=row.numa_node,
        health=row.health,
        health_reasons=tuple(columns.as_list(row.health_reasons)),
        facts=columns.as_object(row.facts),
        status=row.status,
        absences=row.absences,
        generation=row.generation,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
