# SPDX-License-Identifier: Apache-2.0
"""Devices in the plain form in which hardware fixtures say what a driver must find."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cyborg.domain import report
from cyborg.drivers import host_use
from cyborg.drivers.pci_function import ADDRESS

KEPT_BY_HOST = frozenset({host_use.DISK, host_use.NETWORK, host_use.PROGRAM})


def to_fixture_form(
    family: str, devices: Iterable[report.Device], sensors: Mapping[str, Mapping[str, float]] | None = None
) -> list[dict[str, Any]]:
    """One object per device, without parts that have no accelerators; ``family`` is the name without ``_driver``.

    A device of which the host keeps all for itself is left out: it is no accelerator.
    """
    return [_device(family, one, (sensors or {}).get(one.address)) for one in devices if not _is_the_hosts(one)]


def _is_the_hosts(device: report.Device) -> bool:
    reasons = set(device.facts.get("withheld", {}).values())
    return bool(reasons & KEPT_BY_HOST) and not any(part.accelerators for _, part in device.walk())


def _device(family: str, device: report.Device, sensors: Mapping[str, float] | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "driver": family,
        "bdf" if ADDRESS.fullmatch(device.address) else "socket": device.address,
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
    mdevs = {address: list(uuids) for address, uuids in device.facts.get("mdevs", {}).items()}
    for parent, part in device.walk():
        traits[part.key] = part.traits | (traits[parent] if parent is not None else frozenset())
        if part.accelerators:
            yield {
                "resource_class": part.resource_class,
                "total": len(part.accelerators),
                "traits": sorted(traits[part.key]),
                "attach_handles": [_handle(unit, mdevs) for unit in part.accelerators],
            }


def _handle(unit: report.Accelerator, mdevs: Mapping[str, list[str]]) -> dict[str, Any]:
    """Numbers and truth values as such, and a PCI address in one piece; takes from ``mdevs`` what it uses."""
    info = dict(unit.info)
    if unit.pci_address is None:
        return {"type": str(unit.type), **info} | ({"nsid": int(info["nsid"] or 0)} if "nsid" in info else {})
    if unit.type is report.HandleType.MDEV:
        asked = info["asked_type"]
        made = mdevs.get(unit.pci_address)
        return {"type": "MDEV", "parent": unit.pci_address, "mdev_type": asked, "uuid": made.pop(0) if made else None}
    handle: dict[str, Any] = {"type": str(unit.type), "bdf": unit.pci_address}
    if "managed" in info:
        handle["managed"] = info["managed"] == "true"
    if "vgpu_type" in info:
        handle["vgpu_type"] = int(info["vgpu_type"] or 0)
    if "physical_network" in info:
        handle["physical_network"] = info["physical_network"]
    return handle
