# SPDX-License-Identifier: Apache-2.0
"""Attributes of deployables: those that reports make are the truth, those that the API adds are notes."""

import uuid as uuid_module
from dataclasses import dataclass
from typing import Any

import oslo_db.exception as oslo
from sqlalchemy import Row, insert, select
from sqlalchemy import delete as sql_delete

from cyborg.domain import errors
from cyborg.store import paging
from cyborg.store.engine import Transaction
from cyborg.store.models import Attribute, Origin
from cyborg.store.records import AttributeRecord

SORTS = {"id": Attribute.id, "uuid": Attribute.uuid, "key": Attribute.key, "created_at": Attribute.created_at}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    deployable_id: int | None = None
    key: str | None = None


ANY = Filter()


def page(tx: Transaction, wanted: Filter = ANY, part: paging.Page = paging.ALL) -> list[AttributeRecord]:
    statement = select(Attribute)
    if wanted.deployable_id is not None:
        statement = statement.where(Attribute.deployable_id == wanted.deployable_id)
    if wanted.key is not None:
        statement = statement.where(Attribute.key == wanted.key)
    return [_record(row) for row in tx.execute(paging.cut(tx, statement, part, SORTS))]


def get(tx: Transaction, uuid: str) -> AttributeRecord:
    row = tx.execute(select(Attribute).where(Attribute.uuid == uuid)).one_or_none()
    if row is None:
        raise errors.NotFound(f"There is no attribute {uuid}.")
    return _record(row)


def create(tx: Transaction, *, deployable_id: int, key: str, value: str) -> AttributeRecord:
    """A note on a deployable, kept by reports and not used to schedule. NotFound, or AlreadyExists for its key."""
    uuid = str(uuid_module.uuid4())
    row = {"uuid": uuid, "deployable_id": deployable_id, "origin": Origin.API, "key": key, "value": value}
    try:
        tx.execute(insert(Attribute).values(row))
    except oslo.DBReferenceError as error:
        raise errors.NotFound(f"There is no deployable with the id {deployable_id}.") from error
    except oslo.DBDuplicateEntry as error:
        raise errors.AlreadyExists(
            f"Deployable {deployable_id} has an attribute {key!r} already; delete that one first."
        ) from error
    return get(tx, uuid)


def delete(tx: Transaction, uuid: str) -> None:
    """NotFound; Conflict for one that comes from a report, which a delete would only put in doubt."""
    result = tx.execute(sql_delete(Attribute).where(Attribute.uuid == uuid, Attribute.origin == Origin.API))
    if not result.rowcount:
        found = get(tx, uuid)
        raise errors.Conflict(
            f"Attribute {uuid} ({found.key}) is what the driver reports of the deployable and cannot be deleted."
        )


def _record(row: Row[*tuple[Any, ...]]) -> AttributeRecord:
    return AttributeRecord(
        id=row.id,
        uuid=row.uuid,
        deployable_id=row.deployable_id,
        origin=row.origin,
        key=row.key,
        value=row.value,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
