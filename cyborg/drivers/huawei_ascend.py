# SPDX-License-Identifier: Apache-2.0
"""Huawei Ascend NPUs: each PCI function is one chip; its health is told by ``npu-smi`` alone."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from oslo_config import cfg

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.domain.view import trait_token
from cyborg.drivers import ascend_work, mdev, pci_health, pci_offer, traits
from cyborg.drivers.host import Host
from cyborg.drivers.npu_smi import Chip, NpuSmi
from cyborg.drivers.pci_function import BRIDGE, NOT_ISOLATED, PciFunction

VENDOR = "19e5"
KIND = report.DeviceType.AICHIP
ACCELERATOR = "1200"
#: Other engines of this vendor have the same class.
CHIPS = {"d100": "310", "d500": "310P", "d801": "910", "d802": "910B", "d803": "910C"}
#: What a chip looks like for some seconds after a reset: another vendor's id.
IN_RESET = ("1000", "02b2")
RESET_PATIENCE = 60.0
#: A driver of a guest is on the chip, or none: the tool does not see it.
UNSEEN = frozenset({None, "vfio-pci", "pci-stub"})

OK = "ok"
DEGRADED, FAILED, UNKNOWN = report.Health.DEGRADED, report.Health.FAILED, report.Health.UNKNOWN
VERDICTS = {
    "warning": (DEGRADED, "npu_warning"),
    "alarm": (DEGRADED, "npu_alarm"),
    "critical": (FAILED, "npu_critical"),
}
NOT_TOLD = (UNKNOWN, "npu_unknown")
RESET_PENDING = "reset_pending"
SERVES_VNPUS = "serves_vnpus"


class HuaweiAscendDriver:
    option_group: ClassVar[str | None] = "huawei_ascend"
    options: ClassVar[tuple[cfg.Opt, ...]] = (
        cfg.ListOpt(
            "enabled_vnpu_types",
            default=[],
            help="Types of virtual NPUs to offer, such as vnpu-vir02, best first: a chip in virtual machine mode is "
            "cut into the first one that it knows. A chip that knows none is offered whole.",
        ),
        cfg.BoolOpt(
            "no_bus_reset",
            default=False,
            help="Never reset a chip with its bus between two guests. One that can be reset in no other way is then "
            "not given out again.",
        ),
    )

    def __init__(
        self,
        options: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
        settle: float = ascend_work.SETTLE,
    ) -> None:
        """``settle`` are seconds after which a chip that has not left its bus will not any more."""
        self._types: Sequence[str] = options["enabled_vnpu_types"]
        self._no_bus_reset: bool = options["no_bus_reset"]
        self._clock = clock
        self._settle = settle
        self._seen: dict[str, tuple[float, report.Device]] = {}

    def discover(self, host: Host) -> Iterator[report.Device]:
        functions = host.pci()
        smi = NpuSmi(host.tools)
        listed = smi.chips() if any(_visible(function) for function in functions) else {}
        for function in functions:
            if _is_chip(function):
                device = self._device(function, functions, _findings(function, smi, listed.get(function.address)))
                self._seen[function.address] = (self._clock(), device)
                yield device
            elif (function.vendor, function.device) == IN_RESET:
                yield from self._in_reset(function.address)

    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        visible = {function.address for function in host.pci() if _visible(function)}
        listed = NpuSmi(host.tools).chips() if visible else {}
        found = {address: {"temp_c": chip.temperature, "power_w": chip.power} for address, chip in listed.items()}
        return {
            address: {name: value for name, value in values.items() if value is not None}
            for address, values in found.items()
            if address in visible
        }

    def clean(self, host: Host, unit: Unit) -> None:
        ascend_work.clean(host, unit, no_bus_reset=self._no_bus_reset, settle=self._settle)

    def _in_reset(self, address: str) -> Iterator[report.Device]:
        """A chip that was here a moment ago is still this chip; what was never one is none now."""
        since, device = self._seen.get(address, (0.0, None))
        if device is not None and self._clock() - since <= RESET_PATIENCE:
            yield dataclasses.replace(device, health=UNKNOWN, health_reasons=(RESET_PENDING,))

    def _device(
        self, chip: PciFunction, functions: Sequence[PciFunction], found: Sequence[pci_health.Finding]
    ) -> report.Device:
        health, reasons = pci_health.verdict([*pci_health.findings(chip), *found])
        parts, more = self._parts(chip, functions)
        return report.Device(
            address=chip.address,
            type=KIND,
            vendor=VENDOR,
            model=chip.device,
            numa_node=chip.numa_node,
            health=health,
            health_reasons=reasons,
            facts=chip.facts() | {"chip": CHIPS[chip.device]} | more,
            deployables=parts,
        )

    def _parts(
        self, chip: PciFunction, functions: Sequence[PciFunction]
    ) -> tuple[tuple[report.Deployable, ...], dict[str, Any]]:
        """Virtual NPUs where they are wanted, else the chip, unless somebody cut it."""
        places = [("", chip)]
        for kind in self._types:
            virtual = mdev.offer(places, kind)
            if virtual:
                named = frozenset({f"CUSTOM_AICHIP_HUAWEI_{chip.device.upper()}_{trait_token(kind)}"})
                return (_part(chip, "CUSTOM_VNPU", virtual.accelerators, named),), virtual.facts
        if mdev.in_use(places):
            offer = pci_offer.nothing(chip, SERVES_VNPUS)
        else:
            offer = pci_offer.of(chip, lambda unit: NOT_ISOLATED if _shares_group(unit, functions) else None)
        return (_part(chip, "CUSTOM_AICHIP", offer.accelerators),), offer.facts


def _is_chip(function: PciFunction) -> bool:
    known = function.vendor == VENDOR and function.device in CHIPS
    return known and function.pci_class in (ACCELERATOR, None) and not function.is_vf


def _visible(function: PciFunction) -> bool:
    return _is_chip(function) and function.driver not in UNSEEN and not function.asleep


def _findings(function: PciFunction, smi: NpuSmi, chip: Chip | None) -> list[pci_health.Finding]:
    if function.driver in UNSEEN:
        return [pci_health.NO_DRIVER]
    if function.asleep:
        return [pci_health.ASLEEP]
    if chip is None:
        return [NOT_TOLD]
    word = (smi.health(chip) or "").lower()
    found = [] if word == OK else [VERDICTS.get(word, NOT_TOLD)]
    board = VERDICTS.get((smi.board_health(chip.card) or "").lower())
    return found + ([(DEGRADED, board[1] if board[0] is DEGRADED else "npu_alarm")] if board else [])


def _shares_group(unit: PciFunction, functions: Sequence[PciFunction]) -> bool:
    """The chips of one card often do; then they could only go to the same guest."""
    return unit.iommu_group is not None and any(
        other.iommu_group == unit.iommu_group and other is not unit and other.pci_class != BRIDGE for other in functions
    )


def _part(
    chip: PciFunction,
    resource_class: str,
    units: tuple[report.Accelerator, ...],
    more_traits: frozenset[str] = frozenset(),
) -> report.Deployable:
    return report.Deployable(
        resource_class=resource_class,
        traits=traits.product(KIND, VENDOR, chip.device) | more_traits,
        accelerators=units,
    )
