# SPDX-License-Identifier: Apache-2.0
"""One look at the host with every driver at once, none of which can harm the others.

    scanner = Scanner(loader.load(conf, names), host, timeout=30)
    for result in scanner.scan():
        if result.devices is None:      # could not look: nothing changes
            ...
        else:                           # complete, an empty one too
            ...

A driver that raises, returns nonsense or takes too long has no result this time. One that hangs is left alone,
and not started again until it came back; what it then returns is old and thrown away. Where two drivers offer the
same card, the one that was enabled first keeps it, even while it cannot look. PCI functions that a device says it
``drives`` (a fact: a program of the host works with them) are offered by no driver.
"""

import dataclasses
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from oslo_log import log

from cyborg.domain import errors, report, wire
from cyborg.drivers.base import Driver
from cyborg.drivers.host import Host
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
        self._lanes = [_Lane(loaded.name, loaded.driver, host) for loaded in drivers]
        self._timeout = timeout
        self._claims: dict[str, frozenset[str]] = {}
        self._driven: dict[str, frozenset[str]] = {}
        self._contested: set[tuple[str, str]] = set()

    def scan(self) -> list[ScanResult]:
        """One result for each driver, in the order in which they are enabled."""
        for lane in self._lanes:
            lane.start()
        deadline = time.monotonic() + self._timeout
        results = [lane.result(deadline, self._timeout) for lane in self._lanes]
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


class _Lane:
    """One driver and the thread it runs in."""

    def __init__(self, name: str, driver: Driver, host: Host) -> None:
        self._name = name
        self._driver = driver
        self._host = host
        self._thread: threading.Thread | None = None
        self._outcome: list[_Outcome] = []
        self._fresh = False
        self._failing = False

    def start(self) -> None:
        self._fresh = self._thread is None or not self._thread.is_alive()
        if self._fresh:
            self._outcome = []
            self._thread = threading.Thread(
                target=self._look, args=(self._outcome,), name=f"scan-{self._name}", daemon=True
            )
            self._thread.start()

    def result(self, deadline: float, timeout: float) -> ScanResult:
        if self._fresh and self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        outcome = self._judge(timeout)
        if outcome.error and not self._failing:
            LOG.error(
                "Driver %s cannot look at this host, its devices stay as they were: %s",
                self._name,
                outcome.error,
                exc_info=outcome.exception,
            )
        if self._failing and not outcome.error:
            LOG.info("Driver %s can look at this host again.", self._name)
        self._failing = outcome.error is not None
        return ScanResult(driver=self._name, devices=outcome.devices, error=outcome.error)

    def _judge(self, timeout: float) -> "_Outcome":
        if not self._fresh:
            return _Outcome(error="an earlier look has not come back yet")
        if self._thread is not None and self._thread.is_alive():
            return _Outcome(error=f"no answer within {timeout:g} seconds")
        return self._outcome[0] if self._outcome else _Outcome(error="its thread ended without a result")

    def _look(self, outcome: "list[_Outcome]") -> None:
        try:
            devices = tuple(self._driver.discover(self._host))
            _check(devices)
        except errors.CyborgError as exc:
            outcome.append(_Outcome(error=exc.message))
        except Exception as exc:  # noqa: BLE001 - one driver's scan: whatever it does, its neighbours go on
            outcome.append(_Outcome(error=f"{type(exc).__name__}: {exc}", exception=exc))
        else:
            outcome.append(_Outcome(devices=devices))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """How a look ended; ``exception`` is what nobody foresaw, for its traceback."""

    devices: tuple[report.Device, ...] | None = None
    error: str | None = None
    exception: Exception | None = None


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
