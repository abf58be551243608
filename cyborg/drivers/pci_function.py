# SPDX-License-Identifier: Apache-2.0
"""One PCI function as the kernel shows it: what every driver of PCI cards asks."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from cyborg.domain import report
from cyborg.drivers.counters import Counters
from cyborg.drivers.sysfs import Node

ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
BRIDGE = "0604"
#: Drivers that hold a function for a guest; with any other one the host itself uses it.
FOR_GUESTS = frozenset({None, "vfio-pci", "pci-stub"})
ASLEEP = frozenset({"D1", "D2", "D3hot", "D3cold"})
NOT_ISOLATED = "group_not_isolated"
CONSOLE = "console"


class PciFunction:
    """Each file is read at most once, when it is first asked for.

    ``vendor`` and ``device`` are four lower-case hex digits. ``physfn`` is the PF that is on this host too, None while
    that does not answer. A VF that was passed into a virtual machine has none, and is a function of its own.
    ``virtfns`` are the VFs by their number on the PF, without those that are gone.
    """

    def __init__(
        self, node: Node, *, vendor: str, device: str, names: frozenset[str], counters: Counters | None = None
    ) -> None:
        self.node = node
        self.names = names
        self.address = node.name
        self.vendor = vendor
        self.device = device
        self.physfn: PciFunction | None = None
        self.virtfns: dict[int, PciFunction] = {}
        self._unreadable: set[str] = set()
        self._of_silent_pf = False
        self._counters = counters or Counters()

    @classmethod
    def read(cls, node: Node, counters: Counters | None = None) -> "PciFunction | None":
        """None when the function is gone, or cannot even say what it is."""
        vendor, device = _digits(node / "vendor", 4), _digits(node / "device", 4)
        names = node.names()
        if vendor is None or device is None or names is None:
            return None
        return cls(node, vendor=vendor, device=device, names=names, counters=counters)

    def connect(self, functions: Mapping[str, "PciFunction"]) -> None:
        """Find PF and VFs among the functions of the host; either end's link is enough."""
        pf = self._linked("physfn")
        if pf is not None and pf != self.address:
            self.physfn = functions.get(pf) or self.physfn
            self._of_silent_pf = self.physfn is None and self._sibling(pf).present()
        for name in self.names:
            number = name.removeprefix("virtfn")
            if number != name and number.isdecimal():
                vf = functions.get(self._linked(name) or "")
                if vf is not None and vf is not self:
                    self.virtfns[int(number)] = vf
                    vf.physfn = self

    def grew(self, counter: str, value: int | None, *, by: int = 1, first: int | None = 1) -> bool:
        """Whether an error counter of this function grew lately; see `counters`."""
        return self._counters.grew(self.address, counter, value, by=by, first=first)

    @property
    def is_vf(self) -> bool:
        return self.physfn is not None or self._of_silent_pf

    @property
    def dead(self) -> bool:
        """The ids read as all ones: nothing answers on the bus."""
        return self.vendor == "ffff"

    @cached_property
    def vfs_on(self) -> bool:
        """SR-IOV is in use, so the function itself is not for guests; true even if no VF can be seen."""
        return bool(self.virtfns) or bool(self._number("sriov_numvfs"))

    @cached_property
    def pci_class(self) -> str | None:
        """Base and sub class, four hex digits; None when unknown."""
        digits = _digits(self.node / "class", 6)
        return digits[:4] if digits else None

    @cached_property
    def driver(self) -> str | None:
        return self._linked("driver")

    @cached_property
    def numa_node(self) -> int | None:
        number = self._number("numa_node")
        return number if number is not None and number >= 0 else None

    @cached_property
    def iommu_group(self) -> int | None:
        name = self._linked("iommu_group")
        return int(name) if name and name.isdecimal() else None

    @cached_property
    def power_state(self) -> str | None:
        return self._text("power_state") or None

    @cached_property
    def asleep(self) -> bool:
        """Whether reading what its driver shows could wake it; older kernels have no power_state."""
        return self.power_state in ASLEEP or (self.node / "power/runtime_status").text() == "suspended"

    @cached_property
    def boot_vga(self) -> bool:
        return self._text("boot_vga") == "1"

    @property
    def is_console(self) -> bool:
        """The display of the host itself, which is no accelerator; its VFs may be some."""
        return self.boot_vga and not self.vfs_on

    @cached_property
    def sriov(self) -> dict[str, int] | None:
        """``{"total": 16, "enabled": 4}``; None for a function that can have no VFs."""
        total = self._number("sriov_totalvfs")
        return {"total": total, "enabled": self._number("sriov_numvfs") or len(self.virtfns)} if total else None

    @cached_property
    def isolated(self) -> bool:
        """Whether nothing that a host driver uses shares the IOMMU group; bridges do not count."""
        group = self.node.root_node / "kernel/iommu_groups" / str(self.iommu_group) / "devices"
        others = (group.names() or frozenset()) - {self.address} if self.iommu_group is not None else frozenset()
        return all(self._harmless(self._sibling(address)) for address in others)

    def withheld(self) -> str | None:
        """Why this function must never be given to a guest, None when it may."""
        if self.boot_vga:
            return CONSOLE
        return None if self.isolated else NOT_ISOLATED

    def facts(self) -> dict[str, Any]:
        """What an operator wants to know of any PCI card."""
        found: dict[str, Any] = {
            "kernel_driver": self.driver,
            "iommu_group": self.iommu_group,
            "power_state": self.power_state,
        }
        if self.sriov:
            found["sriov"] = self.sriov
        if self.virtfns:
            found["functions"] = [vf.address for _, vf in sorted(self.virtfns.items())]
        if "reset_method" in self.names:
            found["reset_methods"] = ((self.node / "reset_method").text() or "").split()
        return found

    def unreadable(self) -> frozenset[str]:
        """The files that all drivers ask for and that are there, but cannot be read or understood."""
        _ = self.numa_node, self.power_state, self.boot_vga, self.sriov
        return frozenset(self._unreadable)

    def _text(self, name: str) -> str | None:
        """None also for a file that there is not."""
        text = (self.node / name).text() if name in self.names else None
        if text is None and name in self.names:
            self._unreadable.add(name)
        return text

    def _number(self, name: str) -> int | None:
        """None also for a file that there is not, and for one that is empty."""
        text = self._text(name)
        try:
            return int(text) if text else None
        except ValueError:
            self._unreadable.add(name)
            return None

    def _linked(self, name: str) -> str | None:
        """The last part of a link's target."""
        return (self.node / name).target_name() if name in self.names else None

    def _sibling(self, address: str) -> Node:
        return self.node.root_node / "bus/pci/devices" / address

    @staticmethod
    def _harmless(node: Node) -> bool:
        if (node / "driver").target_name() in FOR_GUESTS:
            return True
        return (_digits(node / "class", 6) or "").startswith(BRIDGE)


def accelerators(function: PciFunction, extra: Mapping[str, str] | None = None) -> tuple[report.Accelerator, ...]:
    """The units of a PF: its VFs when SR-IOV is on, else itself; without those that must not be given away.

    Keys are ``pf`` and ``vf<number>``: they stay when the card moves to another slot.
    """
    return tuple(
        report.pci_accelerator(key_of(number), unit.address, extra=extra)
        for number, unit in _units(function)
        if unit.withheld() is None
    )


def withheld(function: PciFunction) -> dict[str, Any]:
    """The fact ``withheld``: what could be a unit of the PF and must not be given away, with the reason."""
    found = {unit.address: why for _, unit in _units(function) if (why := unit.withheld())}
    return {"withheld": found} if found else {}


def _units(function: PciFunction) -> list[tuple[int, PciFunction]]:
    return sorted(function.virtfns.items()) if function.vfs_on else [(-1, function)]


def key_of(number: int) -> str:
    return "pf" if number < 0 else f"vf{number}"


def _digits(node: Node, length: int) -> str | None:
    """``0x10DE`` as ``10de``; None for anything else."""
    text = (node.text() or "").lower().removeprefix("0x")
    return text if re.fullmatch(rf"[0-9a-f]{{{length}}}", text) else None
