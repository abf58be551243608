# SPDX-License-Identifier: Apache-2.0
"""Work on a host around one accelerator: prepared before a guest gets it, cleaned and released after the guest had it.

    bind:    prepare -> what the hypervisor is told to attach
    unbind:  clean -> release

Each step looks at what is there and does what is missing, so it may be repeated after any crash, by anyone. What an
event does to the books is in `flow`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cyborg.domain import inventory, report

#: Kinds of units that are PCI functions, or are to be.
FUNCTIONS = frozenset({report.HandleType.PCI, report.HandleType.TEST_PCI})


class Step(StrEnum):
    PREPARE = "prepare"
    CLEAN = "clean"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The accelerator to work on, as the books have it.

    ``uuid`` is its own, and that of a mediated device that a hypervisor made for it. ``address``, ``vendor`` and
    ``model`` are the device's: another card at that address is not touched. ``part`` and ``key`` are the keys of
    deployable and accelerator. ``held`` are the PCI addresses of this host that other requests hold: nothing is done
    that would disturb one of them.
    """

    uuid: str
    driver: str
    address: str
    vendor: str
    model: str
    key: str
    part: str = ""
    type: report.HandleType = report.HandleType.PCI
    info: Mapping[str, str | None]
    held: frozenset[str] = frozenset()


def needs_preparation(kind: report.HandleType, info: Mapping[str, str | None]) -> bool:
    """Whether the unit cannot be attached as it is: a function still to be made, or one that is given a type first.

    Everything else is bound without asking its host.
    """
    unit = report.Accelerator(key="", type=kind, info=info)
    return kind in FUNCTIONS and (unit.pci_address is None or "vgpu_type" in info)


def unit_of(
    host: inventory.Host, device: inventory.Device, part: inventory.Deployable, one: inventory.Accelerator
) -> Unit:
    """``one`` as its host is told of it, with what others hold there now."""
    return Unit(
        uuid=one.uuid,
        driver=device.driver,
        address=device.address,
        vendor=device.vendor,
        model=device.model,
        part=part.key,
        key=one.key,
        type=one.type,
        info=one.info,
        held=frozenset(_addresses(other for _, _, other in host.units() if other.holder and other.uuid != one.uuid)),
    )


def _addresses(units: Iterable[inventory.Accelerator]) -> Iterator[str]:
    for unit in units:
        attached = report.Accelerator(key=unit.key, type=unit.type, info=unit.attached or unit.info)
        if attached.pci_address is not None:
            yield attached.pci_address
