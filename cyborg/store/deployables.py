# SPDX-License-Identifier: Apache-2.0
"""Deployables as lists show them, with their attributes, in one statement.

The page is cut first and joined to the attributes after, so a limit counts deployables, not attributes.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select

from cyborg.domain import errors
from cyborg.store import paging
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


ANY = Filter()


def page(tx: Transaction, wanted: Filter = ANY, part: paging.Page = paging.ALL) -> list[DeployableRecord]:
    statement = _deployables()
    if wanted.name is not None:
        statement = statement.where(Deployable.name == wanted.name)
    return _read(tx, paging.cut(statement, part, SORTS), part)


def get(tx: Transaction, uuid: str) -> DeployableRecord:
    found = _read(tx, _deployables().where(Deployable.uuid == uuid), paging.ALL)
    if not found:
        raise errors.NotFound(f"There is no deployable {uuid}.")
    return found[0]


def _deployables() -> Select[*tuple[Any, ...]]:
    count = select(func.count()).where(Accelerator.deployable_id == Deployable.id).scalar_subquery()
    return (
        select(
            Deployable,
            Device.uuid.label("device_uuid"),
            Device.driver.label("driver"),
            Host.name.label("hostname"),
            Host.provider_uuid.label("rp_uuid"),
            count.label("num_accelerators"),
        )
        .join(Device, Device.id == Deployable.device_id)
        .join(Host, Host.id == Device.host_id)
    )


def _read(tx: Transaction, statement: Select[*tuple[Any, ...]], part: paging.Page) -> list[DeployableRecord]:
    cut = statement.subquery("page")
    rows = tx.execute(
        select(cut, Attribute.key.label("attribute_key"), Attribute.value.label("attribute_value"))
        .outerjoin(Attribute, Attribute.deployable_id == cut.c.id)
        .order_by(*paging.order(part, cut.c[part.sort], cut.c.id), Attribute.id)
    )
    return list(_records(rows))


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
            rp_uuid=row.rp_uuid,
            driver=row.driver,
            attributes=tuple(
                (part.attribute_key, part.attribute_value) for part in parts if part.attribute_key is not None
            ),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
