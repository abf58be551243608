# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's two ways of cutting a card into virtual GPUs, as sysfs shows them.

``mdev``: the card (or each of its VFs) has ``mdev_supported_types/nvidia-223/``; a virtual GPU is a mediated
device that whoever attaches it creates. ``vendor_vfio``: each VF has ``nvidia/current_vgpu_type``; a virtual GPU is
a VF that was given a type, and the host's driver stays on it.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from cyborg.domain import report
from cyborg.drivers import mdev, nvml
from cyborg.drivers.mdev import Offer
from cyborg.drivers.pci_function import PciFunction

TYPED = "nvidia"


class Framework(StrEnum):
    MDEV = "mdev"
    VENDOR_VFIO = "vendor_vfio"


class Types:
    """Which card is cut into which types: those that list it, else the first one if that lists no cards.

    A card of typed VFs that several types list is offered as each of them as long as it is free, and then as the one
    that the first request has made of it, by the card's own word of what it still takes. Where a hypervisor makes the
    devices, nobody here could know in time which type it was: the first one that lists the card is its only one.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._addresses = {name: _addresses(options.get(group(name), {})) for name in options["enabled_vgpu_types"]}

    def of(self, gpu: PciFunction) -> tuple[tuple[str, ...], bool]:
        """(the types, whether the card or one of its VFs is listed for them)."""
        places = {place.address for _, place in _places(gpu)}
        listing = tuple(name for name, addresses in self._addresses.items() if places & addresses)
        if listing:
            return listing if framework(gpu) is Framework.VENDOR_VFIO else listing[:1], True
        first = next(iter(self._addresses.items()), None)
        return ((first[0],) if first and not first[1] else ()), False


def group(vgpu_type: str) -> str:
    """The option group of a type."""
    return f"vgpu_{vgpu_type}"


def _addresses(values: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(address.lower() for address in values.get("device_addresses", ()))


def framework(gpu: PciFunction) -> Framework | None:
    if mdev.supported(_places(gpu)):
        return Framework.MDEV
    return Framework.VENDOR_VFIO if any(TYPED in vf.names for vf in gpu.virtfns.values()) else None


def in_use(gpu: PciFunction) -> bool:
    """Whether any virtual GPU exists on the card, of whatever type."""
    return mdev.in_use(_places(gpu)) or any(current(vf) for vf in gpu.virtfns.values())


def is_plain(vf: PciFunction) -> bool:
    """A VF that can be given away as it is."""
    return mdev.TYPES not in vf.names and TYPED not in vf.names


def offer(gpu: PciFunction, vgpu_type: str, session: nvml.Session | None) -> Offer | None:
    """What the card offers of the type, of typed VFs as many as NVML allows; None when it does not know the type."""
    if framework(gpu) is Framework.MDEV:
        return mdev.offer(_places(gpu), vgpu_type)
    digits = vgpu_type.rpartition("-")[2]
    if not digits.isdecimal():
        return None
    return _typed(gpu, int(digits), session.most_vgpus(gpu.address, int(digits)) if session else None)


def _places(gpu: PciFunction) -> list[tuple[str, PciFunction]]:
    """Where mediated devices can be, each with what begins the keys of its accelerators."""
    return [("", gpu), *((f"vf{number}_", vf) for number, vf in sorted(gpu.virtfns.items()))]


def _typed(gpu: PciFunction, number: int, most: int | None) -> Offer | None:
    vfs = [(index, vf) for index, vf in sorted(gpu.virtfns.items()) if TYPED in vf.names]
    names = dict(pair for _, vf in vfs for pair in creatable(vf))
    made = [(index, vf) for index, vf in vfs if current(vf) == number]
    free = [(index, vf) for index, vf in vfs if current(vf) == 0 and number in dict(creatable(vf))]
    if not made and not free:
        return Offer(name="", accelerators=()) if vfs else None
    chosen = sorted((made + free)[:most], key=lambda pair: pair[0])
    return Offer(
        name=names.get(number, ""),
        accelerators=tuple(
            report.pci_accelerator(f"vf{index}", vf.address, extra={"managed": "false", "vgpu_type": str(number)})
            for index, vf in chosen
            if vf.isolated
        ),
    )


def current(vf: PciFunction) -> int | None:
    """The type that the VF was given, 0 for none; None for a VF that takes no type."""
    return (vf.node / TYPED / "current_vgpu_type").number() if TYPED in vf.names else None


def creatable(vf: PciFunction) -> Iterator[tuple[int, str]]:
    """Lines such as ``1147  : NVIDIA L40S-1Q``, below a heading in some releases and without one in others."""
    for line in ((vf.node / TYPED / "creatable_vgpu_types").text() or "").splitlines():
        number, _, name = line.partition(":")
        if number.strip().isdecimal():
            yield int(number), name.strip()
