# SPDX-License-Identifier: Apache-2.0
"""Deployables as lists show them, with their attributes, in one statement.

The page is cut first and joined to the attributes after, so a limit counts deployables, not attributes.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select

from cyborg.domain import errors, view
from cyborg.store import columns, devices, paging
from cyborg.store.engine import Transaction
from cyborg.store.models import Accelerator, Attribute, Deployable, Device, Host
from cyborg.store.records import DeployableRecord

SORTS = {
    "id": Deployable.id,
    "uuid": Deployable.uuid,
    "name": Deployable.name,
    "created_at": Deployable.created_at,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    name: str | None = None
    device_uuid: str | None = None
    hostname: str | None = None


ANY = Filter()


def page(tx: Transaction, wanted: Filter = ANY, part: paging.Page = paging.ALL) -> list[DeployableRecord]:
    statement = select(Deployable)
    if wanted.name is not None:
        statement = statement.where(Deployable.name == wanted.name)
    if wanted.device_uuid is not None:
        device_id = select(Device.id).where(Device.uuid == wanted.device_uuid).scalar_subquery()
        statement = statement.where(Deployable.device_id == device_id)
    if wanted.hostname is not None:
        of_host = select(Device.id).where(Device.host_id == devices.host_id(wanted.hostname))
        statement = statement.where(Deployable.device_id.in_(of_host))
    return _read(tx, paging.cut(tx, statement, part, SORTS), part)


def get(tx: Transaction, uuid: str) -> DeployableRecord:
    found = _read(tx, select(Deployable).where(Deployable.uuid == uuid), paging.ALL)
    if not found:
        raise errors.NotFound(f"There is no deployable {uuid}.")
    return found[0]


def _read(tx: Transaction, statement: Select[*tuple[Any, ...]], part: paging.Page) -> list[DeployableRecord]:
    cut = statement.subquery("page")
    count = select(func.count()).where(Accelerator.deployable_id == cut.c.id).scalar_subquery()
    rows = (
        select(
            cut,
            Device.uuid.label("device_uuid"),
            Device.driver.label("driver"),
            Device.health.label("health"),
            Device.health_reasons.label("health_reasons"),
            Host.name.label("hostname"),
            Host.provider_uuid.label("provider_uuid"),
            Host.layout.label("layout"),
            count.label("num_accelerators"),
            Attribute.key.label("attribute_key"),
            Attribute.value.label("attribute_value"),
        )
        .join(Device, Device.id == cut.c.device_id)
        .join(Host, Host.id == Device.host_id)
        .outerjoin(Attribute, Attribute.deployable_id == cut.c.id)
        .order_by(*paging.order(part, SORTS, cut.c), Attribute.id)
    )
    return list(_records(tx.execute(rows)))


def _records(rows: Iterable[Row[*tuple[Any, ...]]]) -> Iterator[DeployableRecord]:
    for _, group in itertools.groupby(rows, key=lambda row: row.id):
        parts = list(group)
        row = parts[0]
        yield DeployableRecord(
            id=row.id,
            uuid=row.uuid,
            parent_id=row.parent_id,
            root_id=row.root_id,
            key=row.key,
            name=row.name,
            memory_mib=row.memory_mib,
            num_accelerators=row.num_accelerators,
            device_id=row.device_id,
            device_uuid=row.device_uuid,
            hostname=row.hostname,
            rp_uuid=view.carrier(row.provider_uuid, row.layout, row.name),
            driver=row.driver,
            health=row.health,
            health_reasons=tuple(columns.as_list(row.health_reasons)),
            attributes=tuple(
                (part.attribute_key, part.attribute_value) for part in parts if part.attribute_key is not None
            ),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
