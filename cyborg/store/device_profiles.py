# SPDX-License-Identifier: Apache-2.0
"""Device profiles: what users ask for, by a name that is unique in the cloud."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import oslo_db.exception as oslo
from sqlalchemy import Row, insert, or_, select
from sqlalchemy import delete as sql_delete

from cyborg.domain import errors
from cyborg.store import paging
from cyborg.store.engine import Transaction
from cyborg.store.models import DeviceProfile
from cyborg.store.records import ProfileRecord

SORTS = {
    "id": DeviceProfile.id,
    "uuid": DeviceProfile.uuid,
    "name": DeviceProfile.name,
    "created_at": DeviceProfile.created_at,
}
#: How the engines name the constraint of the uuid; the name's is the only other one.
_UUID_TAKEN = ("uq_device_profiles_uuid", "device_profiles.uuid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """``names``: exact ones; those that do not exist are simply not in the answer."""

    names: Collection[str] | None = None


ANY = Filter()


def create(
    tx: Transaction, *, uuid: str, name: str, groups: Sequence[Mapping[str, str]], description: str | None = None
) -> ProfileRecord:
    """AlreadyExists when the name is taken; Conflict when the uuid is."""
    row = {"uuid": uuid, "name": name, "groups": [dict(group) for group in groups], "description": description}
    try:
        tx.execute(insert(DeviceProfile).values(row))
    except oslo.DBDuplicateEntry as error:
        if any(constraint in str(error.inner_exception) for constraint in _UUID_TAKEN):
            raise errors.Conflict(f"The uuid {uuid} is taken by another device profile.") from error
        raise errors.AlreadyExists(
            f"A device profile named {name!r} exists; choose another name or delete that one first."
        ) from error
    return get(tx, uuid)


def get(tx: Transaction, uuid_or_name: str) -> ProfileRecord:
    """The profile with that uuid, else the one with that name; NotFound."""
    either = or_(DeviceProfile.uuid == uuid_or_name, DeviceProfile.name == uuid_or_name)
    found = [_record(row) for row in tx.execute(select(DeviceProfile).where(either))]
    if not found:
        raise errors.NotFound(f"There is no device profile {uuid_or_name!r}.")
    return min(found, key=lambda record: record.uuid != uuid_or_name)


def page(tx: Transaction, wanted: Filter = ANY, part: paging.Page = paging.ALL) -> list[ProfileRecord]:
    statement = select(DeviceProfile)
    if wanted.names is not None:
        statement = statement.where(DeviceProfile.name.in_(wanted.names))
    return [_record(row) for row in tx.execute(paging.cut(statement, part, SORTS))]


def delete(tx: Transaction, uuids: Collection[str]) -> int:
    """How many were there. Requests made from a profile carry their own copy and are not touched."""
    return tx.execute(sql_delete(DeviceProfile).where(DeviceProfile.uuid.in_(uuids))).rowcount


def _record(row: Row[*tuple[Any, ...]]) -> ProfileRecord:
    return ProfileRecord(
        id=row.id,
        uuid=row.uuid,
        name=row.name,
        description=row.description,
        groups=tuple(row.groups),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
