# SPDX-License-Identifier: Apache-2.0
"""Drivers that clean, each wrong in one way: lamps that are reset, and disks that are erased."""

from collections.abc import Mapping
from typing import Any, ClassVar

from cyborg.domain.host_work import Unit
from cyborg.drivers import actions, commands, lending, nvme_pages, pci_reset, pci_work
from cyborg.drivers.conformance.subject import DriverClass
from cyborg.drivers.host import Host
from cyborg.drivers.lending import GUESTS
from cyborg.drivers.nvme_ssd import NvmeSsdDriver
from cyborg.tests.unit.drivers.conformance.lamps import Lamp


class ResetsTheCardOfAVf(Lamp):
    """And takes that for a reset of the VF."""

    def clean(self, host: Host, unit: Unit) -> None:
        card = pci_work.card(host, unit)
        with pci_work.refusals("reset"):
            host.act(actions.RESET, card.address)


class CleansOnce(Lamp):
    """What it has cleaned it takes for clean, whoever had it since."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._clean: set[str] = set()

    def clean(self, host: Host, unit: Unit) -> None:
        if unit.uuid not in self._clean:
            super().clean(host, unit)
            self._clean.add(unit.uuid)


class CountsAFailureAsDone(CleansOnce):
    """Asked for it again, it remembers that it has tried."""

    def clean(self, host: Host, unit: Unit) -> None:
        if unit.uuid in self._clean:
            self._clean.discard(unit.uuid)
            return
        self._clean.add(unit.uuid)
        pci_reset.clean(host, unit)
        self._clean.discard(unit.uuid)


class MarksBeforeItResets(Lamp):
    """On the card, so that it is found after a crash, also when the reset is not what came before."""

    def clean(self, host: Host, unit: Unit) -> None:
        lamp = pci_work.function(pci_work.card(host, unit), unit)
        if lamp is None or "colour" not in lamp.names:
            pci_reset.clean(host, unit)
        elif (lamp.node / "colour").text() != "clean":
            self.shine(host, unit, "clean")
            pci_reset.clean(host, unit)
            self.shine(host, unit, "off")


class ResetsWhatTheHostUses(Lamp):
    def clean(self, host: Host, unit: Unit) -> None:
        lamp = pci_work.function(pci_work.card(host, unit), unit)
        if lamp is not None:
            with pci_work.refusals("reset"):
                host.act(actions.RESET, lamp.address)


class KeepsWhatItBorrowed(Lamp):
    """Takes the function from whoever has it for guests."""

    def clean(self, host: Host, unit: Unit) -> None:
        lamp = pci_work.function(pci_work.card(host, unit), unit)
        if lamp is not None and lamp.driver == GUESTS:
            with pci_work.refusals("unbind"):
                host.act(actions.UNBIND, lamp.address)
        pci_reset.clean(host, unit)


class _Disks(NvmeSsdDriver):
    """Orders a sanitize and waits for its end, and nothing else."""

    def clean(self, host: Host, unit: Unit) -> None:
        disk = pci_work.card(host, unit)
        pci_work.check_use(host, disk)
        lending.take(host, disk, "nvme", 0.2)
        with pci_work.refusals("erase"):
            host.command(commands.NVME_SANITIZE, disk.address, 2)
            while self.is_busy(host.command(commands.NVME_SANITIZE_LOG, disk.address)):
                pass
        lending.give_back(host, disk, "nvme")

    @staticmethod
    def is_busy(log: bytes) -> bool:
        return nvme_pages.sanitize_log(log).status == nvme_pages.Status.UNDER_WAY


class TakesTheEndForSuccess(_Disks):
    """Neither the outcome is looked at nor the disk."""


class WaitsForEver(_Disks):
    """A disk that lies is found by it, one that never ends is not given up."""

    def clean(self, host: Host, unit: Unit) -> None:
        super().clean(host, unit)
        NvmeSsdDriver.clean(self, host, unit)


class DoesNotWait(_Disks):
    @staticmethod
    def is_busy(log: bytes) -> bool:
        return not log


class ResetsADisk(NvmeSsdDriver):
    def clean(self, host: Host, unit: Unit) -> None:
        pci_reset.clean(host, unit)


class ErasesUnderTheHost(_Disks):
    def clean(self, host: Host, unit: Unit) -> None:
        disk = pci_work.card(host, unit)
        lending.take(host, disk, "nvme", 0.2)
        with pci_work.refusals("erase"):
            host.command(commands.NVME_SANITIZE, disk.address, 2)
            for _ in range(5):
                host.command(commands.NVME_SANITIZE_LOG, disk.address)
        lending.give_back(host, disk, "nvme")


class CleansWhatItCanSee(NvmeSsdDriver):
    """A disk without a controller here has nothing on it, it believes."""

    option_group: ClassVar[str | None] = "nvme_ssd"

    def clean(self, host: Host, unit: Unit) -> None:
        if pci_work.card(host, unit).driver == "nvme":
            super().clean(host, unit)


#: The faulty drivers, of lamps and of disks, and the check that has to find each.
LAMPS: Mapping[type[Lamp], str] = {
    ResetsTheCardOfAVf: "cleans_or_says_no",
    CleansOnce: "cleans_after_every_guest",
    CountsAFailureAsDone: "remembers_what_failed",
    MarksBeforeItResets: "survives_a_death_at_any_write",
    ResetsWhatTheHostUses: "spares_what_the_host_uses",
    KeepsWhatItBorrowed: "cleans_what_a_hypervisor_kept",
}
DISKS: Mapping[type[NvmeSsdDriver], str] = {
    TakesTheEndForSuccess: "verifies_what_was_erased",
    WaitsForEver: "verifies_what_was_erased",
    DoesNotWait: "cleans_or_says_no",
    ResetsADisk: "cleans_or_says_no",
    ErasesUnderTheHost: "spares_what_the_host_uses",
    CleansWhatItCanSee: "cleans_what_a_hypervisor_kept",
}
FAULTS: Mapping[DriverClass, str] = {**LAMPS, **DISKS}
