# SPDX-License-Identifier: Apache-2.0
"""A made-up family of cards: one driver that is right, and many that are wrong in one way each.

A lamp shines in one colour at a time, which is written to its file ``colour``; its guest gets the function itself.
Its file ``filament`` says when it is burnt.
"""

import itertools
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from oslo_config import cfg

from cyborg.domain import errors, report
from cyborg.domain.host_work import Unit
from cyborg.drivers import actions, pci_function, pci_health, pci_reset, pci_work, traits
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction

VENDOR = "1a1a"
OFF, WHITE = "off", "white"
KIND = report.DeviceType.PCI
BURNT_OUT: pci_health.Finding = (report.Health.FAILED, "burnt_out")


class Lamp:
    """The right one."""

    option_group: ClassVar[str | None] = "lamp_devices"
    options: ClassVar[Sequence[cfg.Opt]] = (cfg.ListOpt("models", default=["cafe"], help="PCI device ids of lamps."),)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._models = options["models"]

    def discover(self, host: Host) -> Iterator[report.Device]:
        for function in host.pci():
            if function.vendor == VENDOR and function.device in self._models and not function.is_vf:
                yield self.device(function)

    def device(self, function: PciFunction) -> report.Device:
        own = [BURNT_OUT] if self.dark(function) else []
        health, reasons = pci_health.verdict([*pci_health.findings(function), *own])
        return report.Device(
            address=function.address,
            type=KIND,
            vendor=VENDOR,
            model=function.device,
            numa_node=function.numa_node,
            health=health,
            health_reasons=reasons,
            facts=function.facts(),
            deployables=(
                report.Deployable(
                    resource_class="CUSTOM_LAMP",
                    traits=traits.product(KIND, VENDOR, function.device),
                    accelerators=pci_function.accelerators(function),
                ),
            ),
        )

    def dark(self, function: PciFunction) -> bool:
        return (function.node / "filament").text() == "burnt"

    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        awake = [one for one in host.pci() if one.vendor == VENDOR and not one.is_vf and not one.asleep]
        found = {one.address: (one.node / "temp1_input").number() for one in awake}
        return {address: {"temp_c": value / 1000} for address, value in found.items() if value is not None}

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        self.shine(host, unit, wish.get("colour", WHITE))
        return pci_work.info(self.discover(host), unit)

    def release(self, host: Host, unit: Unit) -> None:
        self.shine(host, unit, OFF)

    def clean(self, host: Host, unit: Unit) -> None:
        pci_reset.clean(host, unit)

    def shine(self, host: Host, unit: Unit, colour: str) -> None:
        lamp = pci_work.function(pci_work.card(host, unit), unit)
        if lamp is None or "colour" not in lamp.names:
            return
        file = lamp.node / "colour"
        if file.text() != colour:
            with pci_work.refusals(f"turn {lamp.address} {colour}"):
                host.write(file, colour)
            if file.text() != colour:
                raise errors.DriverError(f"{lamp.address} does not turn {colour}. See the kernel's log.")


class ByHand(Lamp):
    """Walks through the bus itself, as beginners do."""

    def discover(self, host: Host) -> Iterator[report.Device]:
        for node in host.sys("bus/pci/devices").children():
            if (node / "vendor").text() == f"0x{VENDOR}":
                yield self.device(PciFunction(node, vendor=VENDOR, device="cafe", names=node.names() or frozenset()))


class Chatty(Lamp):
    """Reads the file of that name of every lamp."""

    file = ""

    def device(self, function: PciFunction) -> report.Device:
        (function.node / self.file).text()
        return super().device(function)


class ReadsConfig(Chatty):
    file = "config"


class ReadsVpd(Chatty):
    file = "vpd"


class WakesSleepers(Chatty):
    file = "temp1_input"


class PutsTheTemperatureIntoItsFacts(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        found = super().device(function)
        heat = (function.node / "temp1_input").number() if not function.asleep else None
        return replace(found, facts={**found.facts, "heat": heat})


class CountsItsLooks(Lamp):
    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._looks = 0

    def device(self, function: PciFunction) -> report.Device:
        self._looks += 1
        return replace(super().device(function), facts={"looks": self._looks})


class NamesInstances(Lamp):
    """Each instance has a number of its own."""

    numbers = itertools.count()

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._number = next(self.numbers)

    def device(self, function: PciFunction) -> report.Device:
        return replace(super().device(function), serial=f"{function.device}-{self._number}")


class KeysByAddress(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        return replace(super().device(function), serial=f"bus{function.address.split(':')[1]}")


class WritesWhileLooking(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        (function.node.full / "seen").write_text("1")
        return super().device(function)


class ActsWhileLooking(Lamp):
    def discover(self, host: Host) -> Iterator[report.Device]:
        for device in super().discover(host):
            if "reset_methods" in device.facts:
                host.act(actions.RESET, device.address)
            yield device


class StartsATool(Lamp):
    def discover(self, host: Host) -> Iterator[report.Device]:
        subprocess.run(["true"], check=True)
        yield from super().discover(host)


class ReadsThisMachine(Lamp):
    def discover(self, host: Host) -> Iterator[report.Device]:
        with Path("/proc/cmdline").open() as file:
            file.read()
        yield from super().discover(host)


class Hangs(Lamp):
    def discover(self, host: Host) -> Iterator[report.Device]:
        time.sleep(3)
        yield from super().discover(host)


class SaysNothingIsThereWhenBlind(Lamp):
    def discover(self, host: Host) -> Iterator[report.Device]:
        try:
            yield from super().discover(host)
        except errors.HostUnreadable:
            return


class FailsAsAWhole(Lamp):
    """One lamp without a class, and none is reported."""

    def device(self, function: PciFunction) -> report.Device:
        int((function.node / "class").text() or "", 16)
        return super().device(function)


class TakesTheLastHealthForAll(Lamp):
    """A fault of one lamp shows at its neighbours."""

    def discover(self, host: Host) -> Iterator[report.Device]:
        found = list(super().discover(host))
        for device in found:
            yield replace(device, facts={**device.facts, "lamps": len(found)})


class GivesTheCardDespiteItsVfs(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        return _offering(super().device(function), report.pci_accelerator("pf", function.address))


class TakesVfsForCards(Lamp):
    def discover(self, host: Host) -> Iterator[report.Device]:
        for function in host.pci():
            if function.vendor == VENDOR:
                yield self.device(function)


class OffersTheConsole(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        if function.vfs_on or not function.isolated:
            return super().device(function)
        return _offering(super().device(function), report.pci_accelerator("pf", function.address))


class IgnoresIommuGroups(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        if function.vfs_on or function.boot_vga:
            return super().device(function)
        return _offering(super().device(function), report.pci_accelerator("pf", function.address))


class WrongTrait(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        found = super().device(function)
        return replace(found, deployables=(replace(found.deployables[0], traits=frozenset({"lamp of steel"})),))


class SameKeyTwice(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        found = super().device(function)
        units = found.deployables[0].accelerators
        return replace(found, deployables=(replace(found.deployables[0], accelerators=units * 2),))


class SickWithoutReason(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        return replace(super().device(function), health=report.Health.DEGRADED, health_reasons=())


class CannotBeSent(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        return replace(super().device(function), facts={"node": function.node.full})


class FindsNothing(Lamp):
    def discover(self, host: Host) -> Iterator[report.Device]:
        yield from ()


class OptionWithoutHelp(Lamp):
    options: ClassVar[Sequence[cfg.Opt]] = (cfg.ListOpt("models", default=["cafe"]),)


class MeasuresStrangers(Lamp):
    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        return {**super().measure(host), "0000:00:00.0": {"temp_c": 1.0}}


class PreparesAlways(Lamp):
    """Writes whether it is needed or not."""

    def shine(self, host: Host, unit: Unit, colour: str) -> None:
        lamp = pci_work.function(pci_work.card(host, unit), unit)
        if lamp is not None and "colour" in lamp.names:
            with pci_work.refusals("shine"):
                host.write(lamp.node / "colour", colour)


class InTwoSteps(Lamp):
    """Takes a lamp that shines at all for one that is ready."""

    def shine(self, host: Host, unit: Unit, colour: str) -> None:
        lamp = pci_work.function(pci_work.card(host, unit), unit)
        if lamp is None or "colour" not in lamp.names or colour == OFF:
            super().shine(host, unit, colour)
        elif (lamp.node / "colour").text() == OFF:
            super().shine(host, unit, "warming")
            super().shine(host, unit, colour)

    def device(self, function: PciFunction) -> report.Device:
        found = super().device(function)
        return replace(found, facts={**found.facts, "colour": (function.node / "colour").text()})


class ReturnsAnythingPrepared(Lamp):
    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        super().prepare(host, unit, wish)
        return {"lamp": unit.address}


class NeverReleases(Lamp):
    """And shows that the lamp still shines."""

    def release(self, host: Host, unit: Unit) -> None:
        """Forgotten."""

    def device(self, function: PciFunction) -> report.Device:
        found = super().device(function)
        return replace(found, facts={**found.facts, "colour": (function.node / "colour").text()})


class LetsKernelErrorsThrough(Lamp):
    def shine(self, host: Host, unit: Unit, colour: str) -> None:
        lamp = pci_work.function(pci_work.card(host, unit), unit)
        if lamp is not None and "colour" in lamp.names and (lamp.node / "colour").text() != colour:
            host.write(lamp.node / "colour", colour)


class SwallowsKernelErrors(Lamp):
    def shine(self, host: Host, unit: Unit, colour: str) -> None:
        try:
            super().shine(host, unit, colour)
        except errors.CyborgError:
            return


class CleansByWords(Lamp):
    def clean(self, host: Host, unit: Unit) -> None:
        pci_work.card(host, unit)


class ResetsWhateverIsThere(Lamp):
    """Neither the card nor its neighbours are looked at."""

    def clean(self, host: Host, unit: Unit) -> None:
        address = report.Accelerator(key="", type=unit.type, info=unit.info).pci_address
        with pci_work.refusals("reset"):
            host.act(actions.RESET, address or unit.address)


class ResetsTheBusUnderNeighbours(Lamp):
    def clean(self, host: Host, unit: Unit) -> None:
        pci_reset.clean(host, replace(unit, held=frozenset()))


class ShinesOnAllLamps(Lamp):
    """Prepares by the address that the hypervisor was told, whatever card is there now."""

    def shine(self, host: Host, unit: Unit, colour: str) -> None:
        file = host.sys(f"bus/pci/devices/{unit.address}/colour")
        if file.text() not in (None, colour):
            with pci_work.refusals("shine"):
                host.write(file, colour)


class LooksAway(Lamp):
    """Takes every lamp for a good one."""

    def device(self, function: PciFunction) -> report.Device:
        return replace(super().device(function), health=report.Health.OK, health_reasons=())


class NeverForgives(Lamp):
    """A lamp that once failed has failed for ever."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._failed: dict[str, tuple[str, ...]] = {}

    def device(self, function: PciFunction) -> report.Device:
        found = super().device(function)
        if found.health is report.Health.FAILED:
            self._failed[found.address] = found.health_reasons
        if found.address in self._failed:
            return replace(found, health=report.Health.FAILED, health_reasons=self._failed[found.address])
        return found


class CountsErrorsSinceBoot(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        text = (function.node / "aer_dev_fatal").text() or "0"
        if int(text.split()[-1]):
            return replace(super().device(function), health=report.Health.FAILED, health_reasons=("fatal_errors",))
        return super().device(function)


class BlamesTheHost(Lamp):
    """One lamp fails, and all of them do."""

    def discover(self, host: Host) -> Iterator[report.Device]:
        found = list(super().discover(host))
        worst = next((device for device in found if device.health is report.Health.FAILED), None)
        for device in found:
            yield replace(device, health=worst.health, health_reasons=worst.health_reasons) if worst else device


class IgnoresItsOwnFile(Lamp):
    """Knows the errors of every card, and not what lamps have beside."""

    def dark(self, function: PciFunction) -> bool:
        return False


class SaysItWithoutTheReason(Lamp):
    def device(self, function: PciFunction) -> report.Device:
        found = super().device(function)
        return replace(found, health_reasons=("broken",)) if found.health_reasons else found


class HidesBurntLamps(Lamp):
    def discover(self, host: Host) -> Iterator[report.Device]:
        yield from (device for device in super().discover(host) if device.health is not report.Health.FAILED)


def _offering(device: report.Device, *units: report.Accelerator) -> report.Device:
    return replace(device, deployables=(replace(device.deployables[0], accelerators=units),))


#: The faulty drivers, and the check that has to find each.
FAULTS: Mapping[type[Lamp], str] = {
    ByHand: "tells_blind_from_empty",
    ReadsConfig: "lets_sleepers_sleep",
    ReadsVpd: "lets_sleepers_sleep",
    WakesSleepers: "lets_sleepers_sleep",
    PutsTheTemperatureIntoItsFacts: "leaves_out_what_changes_by_itself",
    CountsItsLooks: "is_stable",
    NamesInstances: "is_stable",
    KeysByAddress: "keeps_identity_when_renumbered",
    WritesWhileLooking: "only_reads",
    ActsWhileLooking: "only_reads",
    StartsATool: "only_reads",
    ReadsThisMachine: "only_reads",
    Hangs: "is_stable",
    SaysNothingIsThereWhenBlind: "tells_blind_from_empty",
    FailsAsAWhole: "isolates_a_broken_function",
    TakesTheLastHealthForAll: "isolates_a_broken_function",
    GivesTheCardDespiteItsVfs: "gives_vfs_or_the_card",
    TakesVfsForCards: "gives_vfs_or_the_card",
    OffersTheConsole: "withholds_what_the_host_needs",
    IgnoresIommuGroups: "withholds_what_the_host_needs",
    WrongTrait: "reports_well_formed",
    SameKeyTwice: "reports_well_formed",
    SickWithoutReason: "reports_well_formed",
    CannotBeSent: "reports_well_formed",
    FindsNothing: "finds_something",
    OptionWithoutHelp: "declares_its_options",
    MeasuresStrangers: "measures_its_devices",
    PreparesAlways: "repeats_to_no_effect",
    InTwoSteps: "survives_a_death_at_any_write",
    ReturnsAnythingPrepared: "prepares_what_can_be_attached",
    NeverReleases: "releases_what_it_made",
    LooksAway: "tells_new_errors_from_old_ones",
    NeverForgives: "tells_new_errors_from_old_ones",
    CountsErrorsSinceBoot: "tells_new_errors_from_old_ones",
    BlamesTheHost: "tells_new_errors_from_old_ones",
    HidesBurntLamps: "tells_new_errors_from_old_ones",
    IgnoresItsOwnFile: "follows_its_sources",
    SaysItWithoutTheReason: "follows_its_sources",
    LetsKernelErrorsThrough: "tells_refusals",
    SwallowsKernelErrors: "tells_refusals",
    CleansByWords: "cleans_or_says_no",
    ResetsWhateverIsThere: "leaves_another_card_alone",
    ResetsTheBusUnderNeighbours: "disturbs_nobody",
    ShinesOnAllLamps: "leaves_another_card_alone",
}
