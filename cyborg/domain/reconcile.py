# SPDX-License-Identifier: Apache-2.0
"""plan(stored, seen): the host as it should be stored after a complete report of one driver.

Absence needs proof. A device that a report lacks is counted; it takes no new work from the first report
on, and after ``absence_limit`` reports in a row it is gone: free accelerators are forgotten, held ones stay
with their holder, marked missing, until they return or are released, and so do those that are not cleaned yet.
Identity is (serial when the card has one of its own, else address), so a card that moved to another slot keeps its
uuid, its status, its holders and the names of its parts.

    plan(host with A and B, report of A and C)
      A   same row, whatever changed on it
      B   absences + 1; at the limit: gone, or kept missing where somebody holds it
      C   new

Devices of other drivers are never touched, and a device that another driver offers already is left to it:
one card is never handed out twice.
"""

import dataclasses
import uuid as uuid_module
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from cyborg.domain import health, inventory, report
from cyborg.domain.names import Names

NewUuid = Callable[[], str]


def new_uuid() -> str:
    return str(uuid_module.uuid4())


def plan(
    stored: inventory.Host,
    seen: report.DeviceReport,
    *,
    absence_limit: int = 3,
    make_uuid: NewUuid = new_uuid,
    moment: int = 0,
    rules: health.Rules = health.DEFAULT_RULES,
) -> inventory.Host:
    """The wanted host; rows that are new have ``id`` None. Pure but for the uuids of new rows.

    ``moment`` is when it was seen, in seconds; by it and ``rules`` a device's health is judged.
    """
    others = [device for device in stored.devices if device.driver != seen.driver]
    known = [device for device in stored.devices if device.driver == seen.driver]
    contested = _contested(others, seen)
    offered = _distinct(device for device in seen.devices if device not in contested)
    pairs, new = _match(known, offered)
    names = Names(stored.name, (part.name for device in stored.devices for part in device.deployables))

    def present(device: inventory.Device, found: report.Device) -> inventory.Device:
        known = dataclasses.replace(_present(names, device, found, make_uuid), capabilities=seen.capabilities)
        return _judged(known, device, found, moment, rules)

    devices: list[inventory.Device] = []
    for device in known:
        if device.uuid in pairs:
            devices.append(present(device, pairs[device.uuid]))
        else:
            devices.extend(_absent(device, absence_limit))
    devices.extend(present(_blank(seen.driver, device, make_uuid), device) for device in new)
    after = dataclasses.replace(stored, devices=tuple(others + devices))
    traits = {trait for device in devices for part in device.deployables for trait in part.traits}
    return dataclasses.replace(after, owned_traits=stored.owned_traits | traits)


def settled(host: inventory.Host, seen: report.DeviceReport) -> bool:
    """Whether the same report again would change nothing: nothing is being counted, no device contested."""
    others = [device for device in host.devices if device.driver != seen.driver]
    counting = any(_counting(device) for device in host.devices if device.driver == seen.driver)
    return not counting and not _contested(others, seen)


def _counting(device: inventory.Device) -> bool:
    """Its absences, or the clean looks that it needs."""
    if device.absences:
        return any(not unit.missing for _, unit in device.accelerators())
    return health.counting(device.health_history)


def _contested(others: list[inventory.Device], seen: report.DeviceReport) -> list[report.Device]:
    """The seen devices that another driver of the host has in the books."""
    addresses = {device.address for device in others}
    serials = {device.serial for device in others if device.serial}
    return [device for device in seen.devices if device.address in addresses or device.serial in serials]


class ChangeKind(StrEnum):
    ADDED = "added"
    UPDATED = "updated"
    ABSENT = "absent"
    MISSING = "missing"
    RETIRED = "retired"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    kind: ChangeKind
    device: inventory.Device


def changes(before: inventory.Host, after: inventory.Host) -> Iterator[Change]:
    """What an operator should read in the log: one change per device, none for one that only counts on."""
    old = {device.uuid: device for device in before.devices}
    new = {device.uuid: device for device in after.devices}
    for key, device in new.items():
        if key not in old:
            yield Change(kind=ChangeKind.ADDED, device=device)
        elif _shown(device) != _shown(old[key]):
            yield Change(kind=_kind(old[key], device), device=device)
    for key, device in old.items():
        if key not in new:
            yield Change(kind=ChangeKind.RETIRED, device=device)


def _shown(device: inventory.Device) -> inventory.Device:
    return dataclasses.replace(device, health_history=None)


def _kind(old: inventory.Device, new: inventory.Device) -> ChangeKind:
    if old.absences and not new.absences:
        return ChangeKind.RETURNED
    if new.absences > old.absences:
        gone = any(unit.missing for _, unit in new.accelerators())
        return ChangeKind.MISSING if gone else ChangeKind.ABSENT
    return ChangeKind.UPDATED


def _match(
    known: list[inventory.Device], seen: tuple[report.Device, ...]
) -> tuple[dict[str, report.Device], list[report.Device]]:
    """(seen device by uuid of the stored one, seen devices that are new): by serial first, then by address."""
    left = list(seen)
    pairs: dict[str, report.Device] = {}
    for test in (_same_serial, _same_address):
        for device in known:
            if device.uuid in pairs:
                continue
            match = next((found for found in left if test(device, found)), None)
            if match is not None:
                left.remove(match)
                pairs[device.uuid] = match
    return pairs, left


def _distinct(devices: Iterable[report.Device]) -> tuple[report.Device, ...]:
    """One device for each address, without serials that several have: chips of one board may share the board's."""
    listed = list({device.address: device for device in devices}.values())
    uses = Counter(device.serial for device in listed)
    return tuple(
        dataclasses.replace(device, serial=None) if device.serial and uses[device.serial] > 1 else device
        for device in listed
    )


def _same_serial(stored: inventory.Device, seen: report.Device) -> bool:
    return stored.serial is not None and stored.serial == seen.serial


def _same_address(stored: inventory.Device, seen: report.Device) -> bool:
    """Another serial in the same slot is another card; a serial that is unknown on either side is not."""
    same_card = stored.serial is None or seen.serial is None or stored.serial == seen.serial
    return stored.address == seen.address and same_card


def _absent(device: inventory.Device, limit: int) -> Iterator[inventory.Device]:
    absences = min(device.absences + 1, limit)
    if absences < limit:
        yield dataclasses.replace(device, absences=absences)
        return
    parts = tuple(_keep_held(part) for part in device.deployables)
    if any(part.accelerators for part in parts):
        yield dataclasses.replace(device, absences=absences, deployables=parts)


def _keep_held(part: inventory.Deployable) -> inventory.Deployable:
    units = tuple(dataclasses.replace(unit, missing=True) for unit in part.accelerators if unit.is_kept)
    return dataclasses.replace(part, accelerators=units)


def _blank(driver: str, seen: report.Device, make_uuid: NewUuid) -> inventory.Device:
    return inventory.Device(
        uuid=make_uuid(), driver=driver, address=seen.address, type=seen.type, vendor=seen.vendor, model=seen.model
    )


def _present(names: Names, device: inventory.Device, seen: report.Device, make_uuid: NewUuid) -> inventory.Device:
    return dataclasses.replace(
        device,
        address=seen.address,
        serial=seen.serial or device.serial,
        type=seen.type,
        vendor=seen.vendor,
        model=seen.model,
        numa_node=seen.numa_node,
        facts=seen.facts,
        absences=0,
        deployables=tuple(_deployables(names, device, seen, make_uuid)),
    )


def _judged(
    now: inventory.Device, before: inventory.Device, seen: report.Device, moment: int, rules: health.Rules
) -> inventory.Device:
    past = before.standing
    if before.absences:
        past = dataclasses.replace(past, history=health.interrupted(past.history))
    looked = health.Verdict(health=seen.health, reasons=seen.health_reasons)
    return now.with_standing(health.judge(past, looked, moment, rules))


def _deployables(
    names: Names, device: inventory.Device, seen: report.Device, make_uuid: NewUuid
) -> Iterator[inventory.Deployable]:
    stored = {part.key: part for part in device.deployables}
    inherited: dict[str, frozenset[str]] = {}
    for parent_key, part in seen.walk():
        traits = part.traits | (inherited[parent_key] if parent_key is not None else frozenset())
        inherited[part.key] = traits
        old = stored.pop(part.key, None)
        yield inventory.Deployable(
            id=old.id if old else None,
            uuid=old.uuid if old else make_uuid(),
            key=part.key,
            parent_key=parent_key,
            name=old.name if old else names.new(seen.address, part.key),
            resource_class=part.resource_class,
            traits=traits,
            # A vendor library cannot see a card that a guest holds; its memory is what it was.
            memory_mib=old.memory_mib if old and part.memory_mib is None else part.memory_mib,
            accelerators=tuple(_accelerators(old.accelerators if old else (), part.accelerators, make_uuid)),
        )
    for old in stored.values():
        kept = _keep_held(old)
        if kept.accelerators:
            yield kept


def _accelerators(
    stored: tuple[inventory.Accelerator, ...], seen: tuple[report.Accelerator, ...], make_uuid: NewUuid
) -> Iterator[inventory.Accelerator]:
    left = {unit.key: unit for unit in stored}
    for unit in seen:
        old = left.pop(unit.key, None)
        if old is None:
            yield inventory.Accelerator(uuid=make_uuid(), key=unit.key, type=unit.type, info=unit.info)
        else:
            yield dataclasses.replace(old, type=unit.type, info=unit.info, missing=False)
    for old in left.values():
        if old.is_kept:
            yield dataclasses.replace(old, missing=True)
