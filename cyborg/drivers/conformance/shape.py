# SPDX-License-Identifier: Apache-2.0
"""Checks of what a driver reports: whole, of the right form, with names that the rest of the service can use."""

import re
from collections.abc import Iterator, Sequence
from typing import cast

from oslo_config import cfg

from cyborg.domain import report, wire
from cyborg.drivers.conformance.subject import Subject

CLASS = re.compile(r"PGPU|VGPU|FPGA|CUSTOM_[A-Z0-9_]{1,248}")
TRAIT = re.compile(r"[A-Z][A-Z0-9_]{1,254}")
REASON = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
GROUP = re.compile(r"[a-z][a-z0-9_]*")


def declares_its_options(subject: Subject) -> Iterator[str]:
    if subject.cls.options and not GROUP.fullmatch(subject.cls.option_group or ""):
        yield f"it has options and the group {subject.cls.option_group!r}, which no configuration file can have"
    for option in subject.cls.options:
        if not isinstance(option, cfg.Opt) or not option.help:
            yield f"the option {option!r} is no oslo.config option with a help text"


def finds_something(subject: Subject) -> Iterator[str]:
    if not any(subject.first_look(case) for case in subject.cases):
        yield "it finds nothing on any of the hosts, so nothing is proved; give it a host with its cards"


def reports_well_formed(subject: Subject) -> Iterator[str]:
    for case in subject.cases:
        devices = subject.first_look(case)
        for device in devices:
            if not isinstance(cast(object, device), report.Device):
                yield f"{case.name}: it yields a {type(device).__name__} and no Device"
            else:
                yield from (f"{case.name}: {device.address}: {what}" for what in _device(device))
        addresses = [device.address for device in devices]
        yield from (f"{case.name}: {address} comes more than once" for address in _repeated(addresses))


def _device(device: report.Device) -> Iterator[str]:
    try:
        if wire.from_wire(report.Device, wire.to_wire(device)) != device:
            yield "it changes when it is sent to the conductor: only JSON values, mappings and tuples come through"
    except Exception as exc:  # noqa: BLE001 - the values are another's, and whatever they do is a finding
        yield f"it cannot be sent to the conductor: {exc}"
        return
    if not (device.address and device.vendor and device.model):
        yield "address, vendor and model must not be empty"
    if (device.health is report.Health.OK) != (not device.health_reasons):
        yield f"its health is {device.health} and the reasons are {device.health_reasons}: one needs the other"
    yield from (f"the reason {why!r} is no short word" for why in device.health_reasons if not REASON.fullmatch(why))
    parts = [part for _, part in device.walk()]
    yield from (f"the part {key!r} comes more than once" for key in _repeated([part.key for part in parts]))
    for part in parts:
        yield from _part(part)


def _part(part: report.Deployable) -> Iterator[str]:
    if not CLASS.fullmatch(part.resource_class):
        yield f"{part.resource_class!r} is no resource class that Placement would take"
    yield from (
        f"{trait!r} is no trait that Placement would take" for trait in part.traits if not TRAIT.fullmatch(trait)
    )
    yield from (
        f"the accelerator {key!r} comes more than once" for key in _repeated([one.key for one in part.accelerators])
    )
    for one in part.accelerators:
        if not one.key or not one.info:
            yield f"the accelerator {one.key!r} must have a key and something to attach"
        if one.type is report.HandleType.MDEV and not (one.pci_address and one.info.get("asked_type")):
            yield f"{one.key}: a mediated device needs the address of its card and asked_type"


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
