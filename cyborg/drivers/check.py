# SPDX-License-Identifier: Apache-2.0
"""Devices in the plain form in which hardware fixtures say what a driver must find."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cyborg.domain import report


def to_fixture_form(
    family: str, devices: Iterable[report.Device], sensors: Mapping[str, Mapping[str, float]] | None = None
) -> list[dict[str, Any]]:
    """One object per device, without parts that have no accelerators; ``family`` is the name without ``_driver``."""
    return [_device(family, device, (sensors or {}).get(device.address)) for device in devices]


def _device(family: str, device: report.Device, sensors: Mapping[str, float] | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "driver": family,
        "bdf": device.address,
        "type": str(device.type),
        "vendor": device.vendor,
        "product": device.model,
        "numa_node": device.numa_node,
        "health": str(device.health),
        "health_reasons": list(device.health_reasons),
        **device.facts,
        "deployables": list(_deployables(device)),
    }
    shown |= {"serial": device.serial} if device.serial else {}
    shown |= {"sensors": dict(sensors)} if sensors else {}
    return shown


def _deployables(device: report.Device) -> Iterator[dict[str, Any]]:
    traits: dict[str, frozenset[str]] = {}
    mdevs = iter(device.facts.get("mdevs", ()))
    for parent, part in device.walk():
        traits[part.key] = part.traits | (traits[parent] if parent is not None else frozenset())
        if part.accelerators:
            yield {
                "resource_class": part.resource_class,
                "total": len(part.accelerators),
                "traits": sorted(traits[part.key]),
                "attach_handles": [_handle(unit, mdevs) for unit in part.accelerators],
            }


def _handle(unit: report.Accelerator, mdevs: Iterator[str]) -> dict[str, Any]:
    address = "{domain}:{bus}:{device}.{function}".format(**unit.info)
    if unit.type is report.HandleType.MDEV:
        return {"type": "MDEV", "parent": address, "mdev_type": unit.info["asked_type"], "uuid": next(mdevs, None)}
    handle: dict[str, Any] = {"type": str(unit.type), "bdf": address}
    if "managed" in unit.info:
        handle["managed"] = unit.info["managed"] == "true"
    if "vgpu_type" in unit.info:
        handle["vgpu_type"] = int(unit.info["vgpu_type"])
    if "physical_network" in unit.info:
        handle["physical_network"] = unit.info["physical_network"]
    return handle
