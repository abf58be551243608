# SPDX-License-Identifier: Apache-2.0
"""Rows to `inventory.Host` and back: which column means which member, and nothing else."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import LABEL_STYLE_TABLENAME_PLUS_COL, Row, select

from cyborg.domain import inventory, report, wire
from cyborg.domain.health import History
from cyborg.domain.provider import COUNTING_CLASSES
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.store.engine import Transaction
from cyborg.store.models import Accelerator, Arq, Attribute, Deployable, Device, Origin

CLASS_KEY = "rc"
TRAIT_PREFIX = "trait:"

AnyRow = Row[*tuple[Any, ...]]
#: Key and value by deployable id.
Attributes = Mapping[int, Mapping[str, str]]


@dataclass
class _Part:
    row: AnyRow
    units: list[inventory.Accelerator] = field(default_factory=list)


@dataclass
class _Card:
    row: AnyRow
    parts: dict[int, _Part] = field(default_factory=dict)


def read(tx: Transaction, host: AnyRow) -> inventory.Host:
    """The host of that row with all its hardware, each kind ordered by id; two statements."""
    units = (
        select(Device, Deployable, Accelerator, Arq.request_group)
        .outerjoin(Deployable, Deployable.device_id == Device.id)
        .outerjoin(Accelerator, Accelerator.deployable_id == Deployable.id)
        .outerjoin(Arq, Arq.uuid == Accelerator.arq_uuid)
        .where(Device.host_id == host.id)
        .order_by(Device.id, Deployable.id, Accelerator.id)
        .set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
    )
    cards = _gather(tx.execute(units))
    attributes = _attributes(tx, host.id)
    return inventory.Host(
        id=host.id,
        name=host.name,
        provider_uuid=host.provider_uuid,
        generation=host.generation,
        owned_traits=frozenset(host.owned_traits),
        owned_classes=frozenset(host.owned_classes or ()),
        shape=shape(host),
        moving_to=None if host.moving_layout is None else _shape(host.moving_layout, host.moving_naming),
        status=inventory.HostStatus(host.status),
        down_since=host.down_since,
        seen_at=host.seen_at,
        devices=tuple(_device(card, attributes) for card in cards),
    )


def shape(host: AnyRow) -> Shape:
    return _shape(host.layout, host.naming)


def _shape(layout: str, naming: str) -> Shape:
    """ValueError for what this release does not know: here, as for all choices below, decisions follow from it."""
    return Shape(layout=Layout(layout), naming=Naming(naming))


def host_columns(host: inventory.Host) -> dict[str, Any]:
    return {
        "provider_uuid": host.provider_uuid,
        "owned_traits": sorted(host.owned_traits),
        "owned_classes": sorted(host.owned_classes),
        "generation": host.generation,
        "layout": host.shape.layout,
        "naming": host.shape.naming,
        "moving_layout": host.moving_to and host.moving_to.layout,
        "moving_naming": host.moving_to and host.moving_to.naming,
        "status": host.status,
        "down_since": host.down_since,
    }


def identity(device: inventory.Device) -> str:
    """What makes it the same card on its host: the serial when it has one, else the address."""
    return f"serial:{device.serial}" if device.serial else f"address:{device.address}"


def device_columns(device: inventory.Device) -> dict[str, Any]:
    return {
        "uuid": device.uuid,
        "driver": device.driver,
        "identity": identity(device),
        "address": device.address,
        "serial": device.serial,
        "type": device.type,
        "vendor": device.vendor,
        "model": device.model,
        "numa_node": device.numa_node,
        "health": device.health,
        "health_reasons": list(device.health_reasons),
        "facts": dict(device.facts),
        "status": device.status,
        "absences": device.absences,
        "capabilities": sorted(device.capabilities) or None,
        "health_history": None if device.health_history is None else wire.to_wire(device.health_history),
    }


def deployable_columns(part: inventory.Deployable) -> dict[str, Any]:
    return {"uuid": part.uuid, "key": part.key, "name": part.name, "memory_mib": part.memory_mib}


def accelerator_columns(unit: inventory.Accelerator) -> dict[str, Any]:
    """Without the holder, which only changes by compare-and-set."""
    return {
        "uuid": unit.uuid,
        "key": unit.key,
        "type": unit.type,
        "info": dict(unit.info),
        "missing": unit.missing,
        "work": unit.work,
        "attached": None if unit.attached is None else dict(unit.attached),
        "quarantine": unit.quarantine,
    }


def attributes_of(part: inventory.Deployable) -> dict[str, str]:
    """One row per trait, named after it, so that a trait that comes or goes leaves the other rows alone."""
    return {CLASS_KEY: part.resource_class} | {TRAIT_PREFIX + trait: trait for trait in sorted(part.traits)}


def _gather(rows: Iterable[AnyRow]) -> Iterable[_Card]:
    cards: dict[int, _Card] = {}
    for row in rows:
        card = cards.setdefault(row.devices_id, _Card(row))
        if row.deployables_id is None:
            continue
        part = card.parts.setdefault(row.deployables_id, _Part(row))
        if row.accelerators_id is not None:
            part.units.append(_accelerator(row))
    return cards.values()


def _attributes(tx: Transaction, host_id: int) -> Attributes:
    statement = (
        select(Attribute.deployable_id, Attribute.key, Attribute.value)
        .join(Deployable, Deployable.id == Attribute.deployable_id)
        .join(Device, Device.id == Deployable.device_id)
        .where(Device.host_id == host_id, Attribute.origin == Origin.REPORT)
    )
    found: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for deployable_id, key, value in tx.execute(statement):
        found[deployable_id][key] = value
    return found


def _device(card: _Card, attributes: Attributes) -> inventory.Device:
    row = card.row
    keys = {part_id: part.row.deployables_key for part_id, part in card.parts.items()}
    return inventory.Device(
        id=row.devices_id,
        uuid=row.devices_uuid,
        driver=row.devices_driver,
        address=row.devices_address,
        serial=row.devices_serial,
        type=report.DeviceType(row.devices_type),
        vendor=row.devices_vendor,
        model=row.devices_model,
        numa_node=row.devices_numa_node,
        health=report.Health(row.devices_health),
        health_reasons=tuple(row.devices_health_reasons),
        facts=row.devices_facts,
        status=inventory.DeviceStatus(row.devices_status),
        absences=row.devices_absences,
        capabilities=frozenset(row.devices_capabilities or ()),
        health_history=_history(row.devices_health_history),
        deployables=tuple(_deployable(part, keys, attributes) for part in card.parts.values()),
    )


def _history(value: Mapping[str, Any] | None) -> History | None:
    return None if value is None else wire.from_wire(History, value)


def _deployable(part: _Part, keys: Mapping[int, str], attributes: Attributes) -> inventory.Deployable:
    row = part.row
    known = attributes[row.deployables_id]
    parent = row.deployables_parent_id
    return inventory.Deployable(
        id=row.deployables_id,
        uuid=row.deployables_uuid,
        key=row.deployables_key,
        parent_key=None if parent is None else keys[parent],
        name=row.deployables_name,
        resource_class=known[CLASS_KEY],
        traits=frozenset(value for key, value in known.items() if key.startswith(TRAIT_PREFIX)),
        memory_mib=row.deployables_memory_mib,
        accelerators=tuple(part.units),
    )


def _counts(group: Mapping[str, Any] | None) -> bool:
    return group is not None and not COUNTING_CLASSES.isdisjoint(group["resources"])


def _accelerator(row: AnyRow) -> inventory.Accelerator:
    return inventory.Accelerator(
        id=row.accelerators_id,
        uuid=row.accelerators_uuid,
        key=row.accelerators_key,
        type=report.HandleType(row.accelerators_type),
        info=row.accelerators_info,
        holder=row.accelerators_arq_uuid,
        counted=_counts(row.arqs_request_group),
        missing=row.accelerators_missing,
        work=row.accelerators_work,
        attached=row.accelerators_attached,
        quarantine=row.accelerators_quarantine,
    )
