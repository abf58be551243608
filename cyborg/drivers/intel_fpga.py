# SPDX-License-Identifier: Apache-2.0
"""Intel FPGA cards: the card, its regions below it, and the functions that guests get.

The keys of parts and accelerators do not depend on the kernel driver: while a guest holds the card its FPGA
driver is gone, and with it the ids of region and function, but the accelerator stays the same one.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from oslo_config import cfg, types

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.drivers import (
    fpga_cleaning,
    images,
    intel_board,
    intel_ports,
    intel_work,
    pci_function,
    pci_health,
    pci_work,
    traits,
    vf_demand,
)
from cyborg.drivers.fpga_cleaning import Cleaning
from cyborg.drivers.host import Host
from cyborg.drivers.intel_board import Board
from cyborg.drivers.pci_function import PciFunction

VENDOR = "8086"
KIND = report.DeviceType.FPGA
#: PF and VF ids: integrated 5.x and 6.x, PAC Arria 10, D5005, N3000, OFS and its development images. A VF that was
#: passed into this machine is a card of its own.
DEVICES = frozenset(
    {"bcbd", "bcbf", "bcc0", "bcc1", "09c4", "09c5", "0b2b", "0b2c", "0b30", "0b31", "bcce", "bccf", "af00", "af01"}
)


class IntelFpgaDriver:
    image_formats: ClassVar[frozenset[images.Format]] = frozenset({images.Format.GBS})
    option_group: ClassVar[str | None] = intel_work.GROUP
    options: ClassVar[tuple[cfg.Opt, ...]] = (
        cfg.ListOpt(
            "device_ids",
            default=[],
            item_type=types.String(regex="[0-9a-fA-F]{4}"),
            help="PCI device ids of further Intel FPGA cards, four hex digits each.",
        ),
        cfg.StrOpt(
            fpga_cleaning.DEST,
            default=Cleaning.BLANK,
            choices=[
                (str(Cleaning.BLANK), "program the region's blank image; a card without one is not given out again"),
                (str(Cleaning.RESET), fpga_cleaning.WHAT_RESET_LEAVES),
            ],
            help="What makes a region safe for its next guest.",
        ),
        cfg.DictOpt(
            "blank_images",
            default={},
            help="For each region, by its id (interface uuid), a GBS file without any function, such as "
            "0123456789ab4cde8f0123456789abcd:/etc/cyborg/blank.gbs.",
        ),
        vf_demand.OPTION,
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._devices = DEVICES | {device.lower() for device in options["device_ids"]}
        self._cleaning = Cleaning(options[fpga_cleaning.DEST])
        self._blanks: Mapping[str, str] = options["blank_images"]
        self._on_demand = vf_demand.OnDemand(
            options[vf_demand.DEST], makers={intel_ports.DRIVER}, parts=intel_ports.Ports()
        )

    def discover(self, host: Host) -> Iterator[report.Device]:
        for function, board in self._cards(host):
            yield _device(function, board, self._units(function))

    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        found = {function.address: board.sensors() for function, board in self._cards(host) if board}
        return {address: sensors for address, sensors in found.items() if sensors}

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        self._on_demand.prepare(host, unit)
        return pci_work.info(self.discover(host), unit)

    def release(self, host: Host, unit: Unit) -> None:
        self._on_demand.release(host, unit)

    def check_image(
        self, device: report.Device, unit: Unit, image: images.Image, function: str | None = None
    ) -> images.Refusal | None:
        return images.misfit(image, device, unit, function)

    def program(self, host: Host, unit: Unit, image: images.Image, file: Path) -> str:
        return intel_work.program(host, unit, image, file)

    def clean(self, host: Host, unit: Unit) -> None:
        if self._cleaning is Cleaning.RESET:
            intel_work.reset(host, unit)
        else:
            intel_work.blank(host, unit, self._blanks)

    def _units(self, function: PciFunction) -> tuple[report.Accelerator, ...]:
        if self._on_demand.lists(function) and not function.vfs_on:
            return self._on_demand.units(function)
        return pci_function.accelerators(function)

    def _cards(self, host: Host) -> Iterator[tuple[PciFunction, Board | None]]:
        """By id, or by what the kernel's FPGA drivers say it is."""
        for function in host.pci():
            if function.is_vf:
                continue
            board = intel_board.read(function)
            if board or (function.vendor == VENDOR and function.device in self._devices):
                yield function, board


def _device(function: PciFunction, board: Board | None, units: tuple[report.Accelerator, ...]) -> report.Device:
    found = [*pci_health.findings(function), *(board.findings() if board else ())]
    if board is None:
        found.append(pci_health.ASLEEP if function.asleep else pci_health.NO_DRIVER)
    health, reasons = pci_health.verdict(found)
    return report.Device(
        address=function.address,
        type=KIND,
        vendor=function.vendor,
        model=function.device,
        numa_node=function.numa_node,
        health=health,
        health_reasons=reasons,
        facts=function.facts() | pci_function.withheld(function) | _facts(board),
        deployables=(_card(function, board, units),),
    )


def _facts(board: Board | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"generation": board.layout.generation if board else None}
    if board and board.engine:
        facts["fme"] = f"/dev/{board.engine.name}"
        facts["bitstream_id"] = (board.engine / "bitstream_id").text() or None
    if board and board.ports:
        facts["ports"] = [f"/dev/{port.name}" for port in board.ports]
    return facts


def _card(function: PciFunction, board: Board | None, units: tuple[report.Accelerator, ...]) -> report.Deployable:
    """The card, with one part for each region; the accelerators are in the first, where today's cards have them all."""
    regions = (board.regions() if board else []) or [None]
    return report.Deployable(
        resource_class="FPGA",
        traits=traits.product(KIND, function.vendor, function.device),
        children=tuple(
            report.Deployable(
                key=f"region{index}",
                resource_class="FPGA",
                traits=_region(function.vendor, identity) | (_loaded(function, board) if index == 0 else frozenset()),
                accelerators=units if index == 0 else (),
            )
            for index, identity in enumerate(regions)
        ),
    )


def _region(vendor: str, identity: str | None) -> frozenset[str]:
    named = traits.identified(KIND, vendor, "REGION", identity)
    return named | {traits.PROGRAMMABLE} if named else named


def _loaded(function: PciFunction, board: Board | None) -> frozenset[str]:
    """The functions of the ports that a guest can get: those of the VFs once there are any, not the PF's."""
    if not function.vfs_on:
        boards = [board]
    else:
        boards = [intel_board.read(vf) for vf in function.virtfns.values() if vf.withheld() is None]
    found = [identity for each in boards if each for identity in each.functions()]
    return frozenset().union(*(traits.identified(KIND, function.vendor, "FUNCTION", identity) for identity in found))
