# SPDX-License-Identifier: Apache-2.0
"""Xilinx (AMD) Alveo FPGA cards: the user function is for guests, the management function stays with the host."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from oslo_config import cfg, types

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.drivers import (
    fpga_cleaning,
    images,
    pci_function,
    pci_health,
    pci_work,
    traits,
    vf_demand,
    xilinx_card,
    xilinx_work,
)
from cyborg.drivers.fpga_cleaning import Cleaning
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.xilinx_card import Card, State

#: Xilinx itself, and Advantech, which builds cards with the same shell.
VENDORS = ("10ee", "13fe")
KIND = report.DeviceType.FPGA
ACCELERATOR = "1200"
#: Management functions: U200, U250, U280, U50, U50C, U55C, U25, U30, VCK5000, V70, V80. The user function of each
#: has the next id.
MANAGEMENT = (
    *("5000", "5010", "5004", "500c", "5020", "506c", "505c", "5050", "503c", "513c", "5044", "5048"),
    *("5094", "50b0", "50b4"),
)
DEVICES = frozenset(MANAGEMENT) | {f"{int(device, 16) + 1:04x}" for device in MANAGEMENT} | xilinx_card.GOLDEN
ADVANTECH = frozenset({"006c", "0065", "0078", "0077"})
#: Drivers that hold nothing but cards of this family. Users' own designs have vendor and class too, and other drivers.
DRIVERS = ("xclmgmt", "xrt-mgmt", "xocl")


class XilinxFpgaDriver:
    image_formats: ClassVar[frozenset[images.Format]] = frozenset({images.Format.XCLBIN})
    option_group: ClassVar[str | None] = xilinx_work.GROUP
    options: ClassVar[tuple[cfg.Opt, ...]] = (
        cfg.ListOpt(
            "device_ids",
            default=[],
            item_type=types.String(regex="[0-9a-fA-F]{4}"),
            help="PCI device ids of further cards, four hex digits each, of both their functions.",
        ),
        cfg.BoolOpt(
            "pass_management_function",
            default=False,
            help="Offer the management function to guests too, as resource class CUSTOM_FPGA_MANAGEMENT. "
            "A guest that has it can write the flash of the card, and with it what the next guest finds.",
        ),
        cfg.StrOpt(
            fpga_cleaning.DEST,
            default=Cleaning.BLANK,
            choices=[
                (str(Cleaning.BLANK), "reset the board, which drops the loaded image; what else was lent stays out"),
                (str(Cleaning.RESET), fpga_cleaning.WHAT_RESET_LEAVES),
            ],
            help="What makes a card safe for its next guest.",
        ),
        vf_demand.OPTION,
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._devices = {device.lower() for device in options["device_ids"]}
        self._pass_management: bool = options["pass_management_function"]
        self._cleaning = Cleaning(options[fpga_cleaning.DEST])
        self._on_demand = vf_demand.OnDemand(options[vf_demand.DEST])

    def discover(self, host: Host) -> Iterator[report.Device]:
        for card in self._cards(host):
            yield self._device(card)

    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        found = {card.key.address: xilinx_card.temperature(card) for card in self._cards(host)}
        return {address: {"temp_c": value} for address, value in found.items() if value is not None}

    def check_image(
        self, device: report.Device, unit: Unit, image: images.Image, function: str | None = None
    ) -> images.Refusal | None:
        if device.facts.get("control_path") is None:
            return images.Refusal(
                reason="not_programmable",
                message=f"The management function of {device.address} is not on this host; only it can program.",
            )
        return images.misfit(image, device, unit, function)

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        if unit.part != xilinx_work.MANAGEMENT:
            self._on_demand.prepare(host, unit)
        return pci_work.info(self.discover(host), unit)

    def release(self, host: Host, unit: Unit) -> None:
        self._on_demand.release(host, unit)

    def clean(self, host: Host, unit: Unit) -> None:
        pci_work.card(host, unit)
        work = xilinx_work.reset if self._cleaning is Cleaning.RESET else xilinx_work.blank
        work(host, xilinx_work.card_of(self._cards(host), unit), unit)

    def _cards(self, host: Host) -> Iterator[Card]:
        return xilinx_card.pair(function for function in host.pci() if self._is_ours(function))

    def _is_ours(self, function: PciFunction) -> bool:
        if function.vendor not in VENDORS or function.is_vf or function.pci_class not in (ACCELERATOR, None):
            return False
        known = self._devices | DEVICES | (frozenset() if function.vendor == VENDORS[0] else ADVANTECH)
        return function.device in known or function.driver in DRIVERS

    def _device(self, card: Card) -> report.Device:
        state = xilinx_card.read(card)
        shared = [finding for function in card.functions for finding in pci_health.findings(function)]
        unclear = [pci_health.UNREADABLE for function in card.functions if function.pci_class is None]
        health, reasons = pci_health.verdict([*state.findings, *shared, *unclear])
        return report.Device(
            address=card.key.address,
            type=KIND,
            vendor=card.key.vendor,
            model=card.key.device,
            numa_node=card.key.numa_node,
            health=health,
            health_reasons=reasons,
            facts=_facts(card, state),
            deployables=tuple(self._parts(card, state)),
        )

    def _parts(self, card: Card, state: State) -> Iterator[report.Deployable]:
        if card.user is None or not state.usable:
            return
        own = traits.product(KIND, card.user.vendor, card.user.device)
        region = traits.identified(KIND, card.user.vendor, "REGION", state.region)
        loaded = traits.identified(KIND, card.user.vendor, "FUNCTION", state.loaded)
        programmable = frozenset({traits.PROGRAMMABLE}) if region and card.management else frozenset()
        yield report.Deployable(
            resource_class="FPGA",
            traits=own | region | loaded | programmable,
            accelerators=self._units(card.user),
        )
        if self._pass_management and card.management and card.management.withheld() is None:
            unit = report.pci_accelerator(xilinx_work.MANAGEMENT, card.management.address)
            yield report.Deployable(
                key=xilinx_work.MANAGEMENT, resource_class="CUSTOM_FPGA_MANAGEMENT", traits=own, accelerators=(unit,)
            )

    def _units(self, user: PciFunction) -> tuple[report.Accelerator, ...]:
        if self._on_demand.lists(user) and not user.vfs_on:
            return self._on_demand.units(user)
        return pci_function.accelerators(user)


def _facts(card: Card, state: State) -> dict[str, Any]:
    facts: dict[str, Any] = card.key.facts()
    if card.user:
        facts |= pci_function.withheld(card.user)
    if card.user and card.management:
        facts["functions"] = [card.management.address, *facts.get("functions", ())]
    facts["control_path"] = card.management.address if card.management else None
    facts["ready"] = state.ready
    return facts | ({"platform": state.platform} if state.platform else {})
