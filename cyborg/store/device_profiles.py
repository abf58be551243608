# SPDX-License-Identifier: Apache-2.0
"""Device profiles: what users ask for, by a name that is unique in the cloud."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import oslo_db.exception as oslo
from sqlalchemy import ColumnElement, Row, insert, or_, select
from sqlalchemy import delete as sql_delete
from sqlalchemy import update as sql_update

from cyborg.domain import errors, profile
from cyborg.store import columns, paging
from cyborg.store.engine import Transaction
from cyborg.store.models import DeviceProfile, ProfileShare
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
    """``names``: exact ones; those that do not exist are simply not in the answer.

    ``seen_by``: only what is public or shared with that project; None is for who sees all.
    """

    names: Collection[str] | None = None
    seen_by: str | None = None


ANY = Filter()


def create(
    tx: Transaction,
    *,
    uuid: str,
    name: str,
    groups: Sequence[Mapping[str, str]],
    description: str | None = None,
    visibility: profile.Visibility = profile.Visibility.PUBLIC,
) -> ProfileRecord:
    """AlreadyExists when the name is taken; Conflict when the uuid is."""
    row = {
        "uuid": uuid,
        "name": name,
        "groups": [dict(group) for group in groups],
        "description": description,
        "visibility": visibility,
    }
    try:
        tx.execute(insert(DeviceProfile).values(row))
    except oslo.DBDuplicateEntry as error:
        if any(constraint in str(error.inner_exception) for constraint in _UUID_TAKEN):
            raise errors.Conflict(f"The uuid {uuid} is taken by another device profile.") from error
        raise errors.AlreadyExists(
            f"A device profile named {name!r} exists; choose another name or delete that one first."
        ) from error
    return get(tx, uuid)


def get(tx: Transaction, uuid_or_name: str, *, seen_by: str | None = None) -> ProfileRecord:
    """The profile with that uuid, else the one with that name; NotFound, also for what ``seen_by`` does not see."""
    statement = select(DeviceProfile).where(or_(DeviceProfile.uuid == uuid_or_name, DeviceProfile.name == uuid_or_name))
    scope = _seen_by(seen_by)
    found = [_record(row) for row in tx.execute(statement if scope is None else statement.where(scope))]
    if not found:
        raise errors.NotFound(f"There is no device profile {uuid_or_name!r}.")
    return min(found, key=lambda record: record.uuid != uuid_or_name)


def page(tx: Transaction, wanted: Filter = ANY, part: paging.Page = paging.ALL) -> list[ProfileRecord]:
    statement = select(DeviceProfile)
    if wanted.names is not None:
        statement = statement.where(DeviceProfile.name.in_(wanted.names))
    scope = _seen_by(wanted.seen_by)
    if scope is not None:
        statement = statement.where(scope)
    return [_record(row) for row in tx.execute(paging.cut(tx, statement, part, SORTS, scope))]


def update(tx: Transaction, found: ProfileRecord, values: Mapping[str, Any]) -> ProfileRecord:
    """``found`` with new ``description``, ``groups`` or ``visibility``; Conflict when it has changed since it was read.

    Requests made from a profile carry their own copy and are not touched.
    """
    unchanged = (DeviceProfile.id == found.id, DeviceProfile.generation == found.generation)
    statement = sql_update(DeviceProfile).where(*unchanged).values(**values, generation=found.generation + 1)
    if not tx.execute(statement).rowcount:
        raise errors.Conflict(f"Device profile {found.uuid} has changed while it was being changed. Read it again.")
    return get(tx, found.uuid)


def share(tx: Transaction, found: ProfileRecord, projects: Collection[str]) -> None:
    """Let just those projects see the profile while it is private."""
    tx.execute(sql_delete(ProfileShare).where(ProfileShare.profile_id == found.id))
    if projects:
        rows = [{"profile_id": found.id, "project_id": project} for project in projects]
        tx.execute(insert(ProfileShare), rows)


def shares(tx: Transaction, ids: Collection[int]) -> dict[int, list[str]]:
    """The projects that profiles are shared with, by their id; none where there are none."""
    found: dict[int, list[str]] = {}
    statement = select(ProfileShare).where(ProfileShare.profile_id.in_(ids)).order_by(ProfileShare.project_id)
    for row in tx.execute(statement):
        found.setdefault(row.profile_id, []).append(row.project_id)
    return found


def delete(tx: Transaction, found: ProfileRecord, *, generation: int | None = None) -> None:
    """Requests made from a profile carry their own copy and are not touched.

    Conflict when it is not at ``generation``, or has changed since ``found`` was read; nothing when it is gone.
    """
    check_generation(found, generation)
    unchanged = sql_delete(DeviceProfile).where(DeviceProfile.id == found.id)
    if generation is not None:
        unchanged = unchanged.where(DeviceProfile.generation == generation)
    if not tx.execute(unchanged).rowcount and generation is not None:
        raise errors.Conflict(f"Device profile {found.uuid} has changed while it was being deleted. Read it again.")


def check_generation(found: ProfileRecord, generation: int | None) -> None:
    """Return when ``found`` is at that generation, or any is right; else Conflict."""
    if generation not in (None, found.generation):
        raise errors.Conflict(
            f"Device profile {found.uuid} is at generation {found.generation}, not {generation}: it has changed since "
            "it was read. Read it again."
        )


def _seen_by(project_id: str | None) -> ColumnElement[bool] | None:
    if project_id is None:
        return None
    shared = select(ProfileShare.profile_id).where(ProfileShare.project_id == project_id)
    return or_(DeviceProfile.visibility == profile.Visibility.PUBLIC, DeviceProfile.id.in_(shared))


def _record(row: Row[*tuple[Any, ...]]) -> ProfileRecord:
    return ProfileRecord(
        id=row.id,
        uuid=row.uuid,
        name=row.name,
        description=row.description,
        groups=tuple(columns.as_object(one) for one in columns.as_list(row.groups)),
        visibility=row.visibility,
        generation=row.generation,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
