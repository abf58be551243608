# SPDX-License-Identifier: Apache-2.0
"""Write the difference between two values of a host: what went, what came, what changed, who holds.

Rows of one kind are written together, so the number of statements does not grow with the hardware. The order
is: holders let go, rows that went, rows that changed or came from the top of the tree down, holders come. Rows
that change go before rows that come, so that a new card may have the identity that another one just lost.
"""

import dataclasses
import uuid as uuid_module
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, delete, insert, literal, select, update

from cyborg.domain import errors, inventory
from cyborg.store import host_holders, host_rows
from cyborg.store.engine import Transaction
from cyborg.store.models import Accelerator, Attribute, Base, Deployable, Device, Host, Origin

Columns = dict[str, Any]
Ids = dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """A host's rows by uuid, and whose part each is."""

    devices: dict[str, inventory.Device]
    parts: dict[str, inventory.Deployable]
    units: dict[str, inventory.Accelerator]
    device_of: dict[str, str]
    part_of: dict[str, str]


def write(tx: Transaction, before: inventory.Host, after: inventory.Host) -> inventory.Host:
    """See `cyborg.store.hosts.save`."""
    if before.id is None:
        raise errors.NotFound(f"Host {before.name} is not stored; take `before` from the store.")
    after = _without_lost_parents(after)
    _refuse_twins(after)
    old, new = _flat(before), _flat(after)
    host_holders.let_go(tx, old.units, new.units)
    _delete(tx, old, new)
    devices = _write_devices(tx, before.id, old, new)
    parts = _write_parts(tx, before.id, old, new, devices)
    _write_family(tx, before, after, parts)
    _write_attributes(tx, old, new, parts)
    units = _write_units(tx, before.id, old, new, parts)
    host_holders.take_hold(tx, old.units, new.units)
    _write_host(tx, before, after)
    return _numbered(dataclasses.replace(after, id=before.id), devices | parts | units)


def _flat(host: inventory.Host) -> Flat:
    flat = Flat(devices={}, parts={}, units={}, device_of={}, part_of={})
    for device in host.devices:
        flat.devices[device.uuid] = device
        for part in device.deployables:
            flat.parts[part.uuid] = part
            flat.device_of[part.uuid] = device.uuid
            for unit in part.accelerators:
                flat.units[unit.uuid] = unit
                flat.part_of[unit.uuid] = part.uuid
    return flat


def _without_lost_parents(host: inventory.Host) -> inventory.Host:
    """A part that outlives the part above it, because somebody holds it, stands at the top of its card."""

    def settled(device: inventory.Device) -> inventory.Device:
        keys = {part.key for part in device.deployables} | {None}
        if all(part.parent_key in keys for part in device.deployables):
            return device
        parts = tuple(
            part if part.parent_key in keys else dataclasses.replace(part, parent_key=None)
            for part in device.deployables
        )
        return dataclasses.replace(device, deployables=parts)

    return dataclasses.replace(host, devices=tuple(settled(device) for device in host.devices))


def _refuse_twins(host: inventory.Host) -> None:
    """The schema would refuse two devices of one identity as well, but could not say which."""
    seen: dict[str, inventory.Device] = {}
    for device in host.devices:
        twin = seen.setdefault(host_rows.identity(device), device)
        if twin is not device:
            raise errors.Conflict(
                f"Host {host.name} has two devices with the identity {host_rows.identity(device)!r}, at {twin.address} "
                f"and {device.address}; their driver must report a serial that is unique on the host, or none."
            )


def _delete(tx: Transaction, old: Flat, new: Flat) -> None:
    units = _gone(old.units, new.units)
    if units:
        statement = delete(Accelerator).where(Accelerator.id.in_(units), Accelerator.arq_uuid.is_(None))
        if tx.execute(statement).rowcount != len(units):
            raise errors.Conflict("An accelerator to be removed is held by a request by now; load the host again.")
    if parts := _gone(old.parts, new.parts):
        tx.execute(delete(Deployable).where(Deployable.id.in_(parts)))
    if devices := _gone(old.devices, new.devices):
        tx.execute(delete(Device).where(Device.id.in_(devices)))


def _write_devices(tx: Transaction, host_id: int, old: Flat, new: Flat) -> Ids:
    changed = _changed(old.devices, new.devices, host_rows.device_columns)
    _park_identities(tx, old, new, [row["row_id"] for row in changed])
    _update(tx, Device, changed, generation=Device.generation + 1)
    rows = [
        {"host_id": host_id, **host_rows.device_columns(new.devices[uuid])}
        for uuid in new.devices
        if uuid not in old.devices
    ]
    found = select(Device.uuid, Device.id).where(Device.host_id == host_id)
    return _insert(tx, Device, rows, found) or _ids(old.devices)


def _park_identities(tx: Transaction, old: Flat, new: Flat, changed: Collection[int]) -> None:
    """Cards that exchange identities must not meet on the way: uniqueness holds after every row."""
    was = {host_rows.identity(device): uuid for uuid, device in old.devices.items() if uuid in new.devices}
    meet = any(was.get(host_rows.identity(device), uuid) != uuid for uuid, device in new.devices.items())
    if meet and changed:
        parked = literal("moving:") + Device.uuid
        tx.execute(update(Device).where(Device.id.in_(changed)).values(identity=parked))


def _write_parts(tx: Transaction, host_id: int, old: Flat, new: Flat, devices: Ids) -> Ids:
    _update(tx, Deployable, _changed(old.parts, new.parts, host_rows.deployable_columns))
    rows = [
        {"device_id": devices[new.device_of[uuid]], **host_rows.deployable_columns(part)}
        for uuid, part in new.parts.items()
        if uuid not in old.parts
    ]
    found = select(Deployable.uuid, Deployable.id).join(Device).where(Device.host_id == host_id)
    return _insert(tx, Deployable, rows, found) or _ids(old.parts)


def _write_family(tx: Transaction, before: inventory.Host, after: inventory.Host, parts: Ids) -> None:
    """Parent and root are ids, known only once every part has one."""
    was, now = _family(before, parts), _family(after, parts)
    alone: Columns = {"parent_id": None, "root_id": None}
    _update(
        tx,
        Deployable,
        [{"row_id": parts[uuid], **family} for uuid, family in now.items() if family != was.get(uuid, alone)],
    )


def _family(host: inventory.Host, parts: Ids) -> dict[str, Columns]:
    found: dict[str, Columns] = {}
    for device in host.devices:
        by_key = {part.key: part for part in device.deployables}
        for part in device.deployables:
            above = part
            while above.parent_key is not None:
                above = by_key[above.parent_key]
            parent = None if part.parent_key is None else parts.get(by_key[part.parent_key].uuid)
            found[part.uuid] = {"parent_id": parent, "root_id": None if above is part else parts.get(above.uuid)}
    return found


def _write_attributes(tx: Transaction, old: Flat, new: Flat, parts: Ids) -> None:
    gone: list[Columns] = []
    came: list[Columns] = []
    for uuid, part in new.parts.items():
        was = host_rows.attributes_of(old.parts[uuid]).items() if uuid in old.parts else set()
        now = host_rows.attributes_of(part).items()
        gone.extend({"of_part": parts[uuid], "of_key": key} for key, _ in was - now)
        came.extend(
            {
                "uuid": str(uuid_module.uuid4()),
                "deployable_id": parts[uuid],
                "origin": Origin.REPORT,
                "key": key,
                "value": value,
            }
            for key, value in sorted(now - was)
        )
    if gone:
        statement = delete(Attribute).where(
            Attribute.deployable_id == bindparam("of_part"),
            Attribute.key == bindparam("of_key"),
            Attribute.origin == Origin.REPORT,
        )
        tx.execute(statement, gone)
    if came:
        tx.execute(insert(Attribute), came)


def _write_units(tx: Transaction, host_id: int, old: Flat, new: Flat, parts: Ids) -> Ids:
    _update(tx, Accelerator, _changed(old.units, new.units, host_rows.accelerator_columns))
    rows = [
        {
            "deployable_id": parts[new.part_of[uuid]],
            "arq_uuid": unit.holder,
            **host_rows.accelerator_columns(unit),
        }
        for uuid, unit in new.units.items()
        if uuid not in old.units
    ]
    found = select(Accelerator.uuid, Accelerator.id).join(Deployable).join(Device).where(Device.host_id == host_id)
    with host_holders.checked():
        return _insert(tx, Accelerator, rows, found) or _ids(old.units)


def _write_host(tx: Transaction, before: inventory.Host, after: inventory.Host) -> None:
    values = host_rows.host_columns(after)
    if values != host_rows.host_columns(before):
        unmoved = (Host.id == before.id, Host.generation == before.generation)
        if not tx.execute(update(Host).where(*unmoved).values(values)).rowcount:
            raise errors.Conflict(f"Host {before.name} has changed since it was loaded; load it again.")


def _gone(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[int]:
    return [value.id for uuid, value in old.items() if uuid not in new]


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], columns: Callable[[Any], Columns]) -> list[Columns]:
    return [
        {"row_id": value.id, **columns(new[uuid])}
        for uuid, value in old.items()
        if uuid in new and columns(new[uuid]) != columns(value)
    ]


def _update(tx: Transaction, table: type[Base], rows: list[Columns], **values: Any) -> None:
    if rows:
        tx.execute(update(table).where(table.__table__.c.id == bindparam("row_id")).values(**values), rows)


def _insert(tx: Transaction, table: type[Base], rows: list[Columns], found: Select[str, int]) -> Ids:
    """Ids by uuid after inserting; nothing when there was nothing to insert."""
    if not rows:
        return {}
    tx.execute(insert(table), rows)
    return dict(iter(tx.execute(found)))


def _ids(rows: Mapping[str, Any]) -> Ids:
    return {uuid: value.id for uuid, value in rows.items()}


def _numbered(host: inventory.Host, ids: Ids) -> inventory.Host:
    """As `hosts.load` gives it: with ids, and ordered by them."""

    def part(value: inventory.Deployable) -> inventory.Deployable:
        units = _ordered(dataclasses.replace(unit, id=ids[unit.uuid]) for unit in value.accelerators)
        return dataclasses.replace(value, id=ids[value.uuid], accelerators=units)

    def device(value: inventory.Device) -> inventory.Device:
        parts = _ordered(part(deployable) for deployable in value.deployables)
        return dataclasses.replace(value, id=ids[value.uuid], deployables=parts)

    return dataclasses.replace(host, devices=_ordered(device(value) for value in host.devices))


def _ordered(rows: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(rows, key=lambda row: row.id))
