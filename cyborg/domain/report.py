# SPDX-License-Identifier: Apache-2.0
"""What a driver saw: DeviceReport > Device > Deployable > Accelerator.

A report is *complete*: every device of one driver on one host. An empty one means "I looked, there are
none"; a driver that could not look raises instead, and nothing changes. Values are frozen and comparable,
so ``==`` is the whole difference.

    Device 0000:3b:00.0 (an FPGA card)
    └── Deployable "" (the card: traits, no accelerators of its own)
        └── Deployable "region0" (one region)
            ├── Accelerator vf0: 0000:3b:00.1, one guest can hold it
            └── Accelerator vf1: 0000:3b:00.2
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cyborg.domain import wire

WIRE_VERSION = 2


class DeviceType(StrEnum):
    AICHIP = "AICHIP"
    FPGA = "FPGA"
    GPU = "GPU"
    NIC = "NIC"
    PCI = "PCI"
    QAT = "QAT"
    SSD = "SSD"


class Health(StrEnum):
    """``FAILED`` takes no new work; ``UNKNOWN`` cannot be told and is treated as working."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Capability(StrEnum):
    """What a driver can do to its units beyond looking; see the protocols in `cyborg.drivers.base`."""

    PREPARES = "prepares"
    CLEANS = "cleans"
    PROGRAMS = "programs"


class HandleType(StrEnum):
    PCI = "PCI"
    MDEV = "MDEV"
    TEST_PCI = "TEST_PCI"
    NVMF = "NVMF"
    VHOST_USER = "VHOST_USER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """The unit one consumer holds.

    ``key`` identifies it within its deployable and stays the same when the card moves to another slot
    (``pf``, ``vf3``, ``T4-2B_1``), so that a holder keeps its unit whatever its address becomes.
    ``info`` is what the hypervisor needs to attach it, in text, for PCI ``domain``, ``bus``, ``device`` and
    ``function`` in hex without a prefix; None for what a reader expects to find and is not known.
    """

    key: str
    type: HandleType
    info: Mapping[str, str | None]

    @property
    def pci_address(self) -> str | None:
        """The function that it is, or is a part of; None for what is no PCI function."""
        names = ("domain", "bus", "device", "function")
        return "{domain}:{bus}:{device}.{function}".format(**self.info) if self.info.keys() >= set(names) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployable:
    """The part that is scheduled; ``key`` is unique within its device, "" for the card itself.

    ``resource_class`` is the typed class (``FPGA``, ``PGPU``, ``CUSTOM_QAT``). ``traits`` belong to this part;
    what it inherits from the parts above it is added by `walk`. ``memory_mib`` is device-local memory behind
    each accelerator.
    """

    key: str = ""
    resource_class: str
    traits: frozenset[str] = frozenset()
    accelerators: tuple[Accelerator, ...] = ()
    children: tuple["Deployable", ...] = ()
    memory_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One physical card on one host.

    ``vendor`` and ``model`` are four lower-case hex digits where PCI gives them. ``numa_node`` is None when
    the affinity is unknown. ``facts`` are further JSON values for operators to read, never used to schedule.
    """

    address: str
    type: DeviceType
    vendor: str
    model: str
    deployables: tuple[Deployable, ...]
    serial: str | None = None
    numa_node: int | None = None
    health: Health = Health.OK
    health_reasons: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def walk(self) -> Iterator[tuple[str | None, Deployable]]:
        """(key of the parent or None, part) for every part, parents first, keys as given."""
        todo: list[tuple[str | None, Deployable]] = [(None, part) for part in reversed(self.deployables)]
        while todo:
            parent, part = todo.pop()
            yield parent, part
            todo.extend((part.key, child) for child in reversed(part.children))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """``capabilities`` are the driver's and hold for all of its devices; those of a newer agent may be unknown here."""

    host: str
    driver: str
    devices: tuple[Device, ...] = ()
    version: int = WIRE_VERSION
    capabilities: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """Changes when, and only when, anything in the report does; the order of devices does not count."""
        devices = sorted((wire.to_wire(device) for device in self.devices), key=lambda device: str(device["address"]))
        return wire.digest([devices, self.capabilities])


def pci_accelerator(
    key: str, address: str, kind: HandleType = HandleType.PCI, extra: Mapping[str, str | None] | None = None
) -> Accelerator:
    """The accelerator that is the PCI function ``address`` (``dddd:bb:dd.f``, the domain may be longer)."""
    domain, bus, rest = address.split(":")
    device, function = rest.split(".")
    info: dict[str, str | None] = {"domain": domain, "bus": bus, "device": device, "function": function}
    return Accelerator(key=key, type=kind, info=info | dict(extra or {}))
