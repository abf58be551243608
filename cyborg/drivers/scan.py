# SPDX-License-Identifier: Apache-2.0
"""One look at the host with every driver at once, none of which can harm the others.

    scanner = Scanner(loader.load(conf, names), host, timeout=30)
    for result in scanner.scan():
        if result.devices is None:      # could not look: nothing changes
            ...
        else:                           # complete, an empty one too
            ...

A driver that raises, returns nonsense or takes too long has no result this time (`lane`). Where two drivers offer the
same card, the one that was enabled first keeps it, even while it cannot look. PCI functions that a device says it
``drives`` (a fact: a program of the host works with them) are offered by no driver.
"""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from oslo_log import log

from cyborg.domain import report, wire
from cyborg.drivers.base import Driver
from cyborg.drivers.host import Host
from cyborg.drivers.lane import Lane
from cyborg.drivers.loader import LoadedDriver

LOG = log.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """``devices`` is None when the driver could not look, and ``error`` says why."""

    driver: str
    devices: tuple[report.Device, ...] | None = None
    error: str | None = None


class Scanner:
    """``timeout`` is in seconds and counts for each driver. One `scan` at a time."""

    def __init__(self, drivers: Sequence[LoadedDriver], host: Host, timeout: float) -> None:
        self._lanes = [
            Lane(
                loaded.name,
                partial(_look, loaded.driver, host),
                task="look at this host",
                meanwhile="its devices stay as they were",
            )
            for loaded in drivers
        ]
        self._timeout = timeout
        self._claims: dict[str, frozenset[str]] = {}
        self._driven: dict[str, frozenset[str]] = {}
        self._contested: set[tuple[str, str]] = set()

    def scan(self) -> list[ScanResult]:
        """One result for each driver, in the order in which they are enabled."""
        for lane in self._lanes:
            lane.start()
        deadline = time.monotonic() + self._timeout
        outcomes = [(lane.driver, lane.outcome(deadline, self._timeout)) for lane in self._lanes]
        results = [ScanResult(driver=name, devices=one.result, error=one.error) for name, one in outcomes]
        return self._each_card_once(results)

    def _each_card_once(self, results: list[ScanResult]) -> list[ScanResult]:
        self._note_driven(results)
        taken = {f"address {address}": name for name, driven in self._driven.items() for address in driven}
        contested: set[tuple[str, str]] = set()
        kept = []
        for result in results:
            if result.devices is not None:
                devices = [device for device in result.devices if not _taken(device, taken, result.driver, contested)]
                devices = [self._without_driven(device) for device in devices]
                self._claims[result.driver] = frozenset(name for device in devices for name in _names(device))
                result = ScanResult(driver=result.driver, devices=tuple(devices))  # noqa: PLW2901
            taken.update(dict.fromkeys(self._claims.get(result.driver, frozenset()), result.driver))
            kept.append(result)
        for driver, text in sorted(contested - self._contested):
            LOG.warning("Driver %s offers %s. It stays with that driver; enable only one of them for it.", driver, text)
        self._contested = contested
        return kept

    def _note_driven(self, results: list[ScanResult]) -> None:
        """What a program of the host works with, by the driver that knows the program; kept while that cannot look."""
        for result in results:
            if result.devices is not None:
                told = [device.facts.get("drives") for device in result.devices]
                lists = [addresses for addresses in told if isinstance(addresses, list | tuple)]
                self._driven[result.driver] = frozenset(str(address) for addresses in lists for address in addresses)

    def _without_driven(self, device: report.Device) -> report.Device:
        driven = frozenset().union(*self._driven.values())
        parts = tuple(_without(part, driven) for part in device.deployables) if driven else device.deployables
        return dataclasses.replace(device, deployables=parts)


def _taken(device: report.Device, taken: dict[str, str], driver: str, contested: set[tuple[str, str]]) -> bool:
    owner = next((taken[name] for name in _names(device) if name in taken), None)
    if owner is not None:
        contested.add((driver, f"{device.address}, which {owner} offers too"))
    return owner is not None


def _without(part: report.Deployable, functions: frozenset[str]) -> report.Deployable:
    """The part without the units that are one of these PCI functions."""
    return dataclasses.replace(
        part,
        accelerators=tuple(unit for unit in part.accelerators if unit.pci_address not in functions),
        children=tuple(_without(child, functions) for child in part.children),
    )


def _names(device: report.Device) -> list[str]:
    return [f"address {device.address}"] + ([f"serial {device.serial}"] if device.serial else [])


def _look(driver: Driver, host: Host) -> tuple[report.Device, ...]:
    devices = tuple(driver.discover(host))
    _check(devices)
    return devices


def _check(devices: tuple[object, ...]) -> None:
    """A report that would not survive the wire is no report."""
    for device in devices:
        if not isinstance(device, report.Device):
            raise TypeError(f"discover yielded {type(device).__name__}, not a Device")
        wire.from_wire(report.Device, wire.to_wire(device))
    addresses = [device.address for device in devices if isinstance(device, report.Device)]
    twice = sorted({address for address in addresses if addresses.count(address) > 1})
    if twice:
        raise ValueError(f"discover yielded {', '.join(twice)} more than once")
