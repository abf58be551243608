# SPDX-License-Identifier: Apache-2.0
"""Devices as lists show them; they are written with their host, in `cyborg.store.hosts`."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, select

from cyborg.domain import errors
from cyborg.store import paging
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


ANY = Filter()


def page(tx: Transaction, wanted: Filter = ANY, part: paging.Page = paging.ALL) -> list[DeviceRecord]:
    statement = _devices()
    if wanted.type is not None:
        statement = statement.where(Device.type == wanted.type)
    if wanted.vendor is not None:
        statement = statement.where(Device.vendor == wanted.vendor)
    if wanted.hostname is not None:
        statement = statement.where(Host.name == wanted.hostname)
    return [_record(row) for row in tx.execute(paging.cut(statement, part, SORTS))]


def get(tx: Transaction, uuid: str) -> DeviceRecord:
    row = tx.execute(_devices().where(Device.uuid == uuid)).one_or_none()
    if row is None:
        raise errors.NotFound(f"There is no device {uuid}.")
    return _record(row)


def _devices() -> Select[*tuple[Any, ...]]:
    return select(Device, Host.name.label("hostname")).join(Host, Host.id == Device.host_id)


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
        health_reasons=tuple(row.health_reasons),
        facts=row.facts,
        status=row.status,
        absences=row.absences,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
