# SPDX-License-Identifier: Apache-2.0
"""Inspur FPGA cards: passed through whole, and programmed inside the guest.

No host driver of theirs is public, so a card without one is as it should be, and neither region nor loaded
function can be known. The vendor id is on network cards and disks as well: class or id list decides.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from oslo_config import cfg, types

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.drivers import fpga_cleaning, pci_function, pci_health, pci_reset, pci_work, traits
from cyborg.drivers.fpga_cleaning import Cleaning
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction

VENDOR = "1bd4"
GROUP = "inspur_fpga"
KIND = report.DeviceType.FPGA
ACCELERATOR = "1200"
#: Cards with another class code: F10A (Arria 10).
DEVICES = frozenset({"0911"})


class InspurFpgaDriver:
    option_group: ClassVar[str | None] = GROUP
    options: ClassVar[tuple[cfg.Opt, ...]] = (
        cfg.ListOpt(
            "device_ids",
            default=[],
            item_type=types.String(regex="[0-9a-fA-F]{4}"),
            help="PCI device ids of further Inspur FPGA cards whose class is not that of an accelerator, "
            "four hex digits each.",
        ),
        cfg.StrOpt(
            fpga_cleaning.DEST,
            default=Cleaning.POWER_CYCLE,
            choices=[
                (str(Cleaning.POWER_CYCLE), "a card is not given to another guest before an operator cut its power"),
                (str(Cleaning.RESET), fpga_cleaning.WHAT_RESET_LEAVES),
            ],
            help="What makes a card safe for its next guest.",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._devices = DEVICES | {device.lower() for device in options["device_ids"]}
        self._cleaning = Cleaning(options[fpga_cleaning.DEST])

    def discover(self, host: Host) -> Iterator[report.Device]:
        for function in host.pci():
            listed = function.pci_class == ACCELERATOR or function.device in self._devices
            if function.vendor == VENDOR and listed and not function.is_vf:
                yield _device(function)

    def clean(self, host: Host, unit: Unit) -> None:
        pci_work.card(host, unit)
        if self._cleaning is not Cleaning.RESET:
            raise fpga_cleaning.refusal(unit.address, "Nothing but a loss of power empties this card", GROUP)
        pci_reset.clean(host, unit)


def _device(function: PciFunction) -> report.Device:
    unclear = [pci_health.UNREADABLE] if function.pci_class is None else []
    health, reasons = pci_health.verdict([*pci_health.findings(function), *unclear])
    part = report.Deployable(
        resource_class="FPGA",
        traits=traits.product(KIND, VENDOR, function.device),
        accelerators=pci_function.accelerators(function),
    )
    return report.Device(
        address=function.address,
        type=KIND,
        vendor=VENDOR,
        model=function.device,
        numa_node=function.numa_node,
        health=health,
        health_reasons=reasons,
        facts=function.facts() | pci_function.withheld(function),
        deployables=(part,),
    )
