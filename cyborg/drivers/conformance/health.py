# SPDX-License-Identifier: Apache-2.0
"""Checks that a driver says when a card falls ill and when it is well again, of that card alone.

Every PCI card has its error counters in the kernel. What else tells of a family stands in its recorded hosts:

    health:
      - {card: "0000:0b:00.0", file: qat/state, bad: down, health: failed, reason: device_down}

``bad`` is what the file of that function holds while the card is ill; one that the host does not have is made for it.
With ``nvml`` in the place of ``file`` it is what NVML answers.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cyborg.domain import report
from cyborg.domain.report import Health
from cyborg.drivers.base import Driver
from cyborg.drivers.conformance.subject import Case, Subject
from cyborg.drivers.counters import HOLD, Counters
from cyborg.drivers.twin import Twin

FATAL = "aer_dev_fatal"
TOTAL = "TOTAL_ERR_FATAL {}\n"
#: Of each host, as many cards fall ill.
MOST = 2

Devices = Mapping[str, report.Device]


class _Ward:
    """A host whose clock is moved, and one driver that looks at it again and again."""

    def __init__(self, subject: Subject, case: Case, twin: Twin) -> None:
        tables = {"nvml": copy.deepcopy(case.data["nvml"])} if "nvml" in case.data else {}
        self._subject = subject
        self._case = Case(name=case.name, data={**case.data, **tables})
        self._driver: Driver = subject.driver(self._case)
        self._moment = 0.0
        self.twin = twin
        self.twin.host.counters = Counters(clock=lambda: self._moment)

    def look(self) -> Devices:
        return {device.address: device for device in self._subject.look(self._case, self.twin.host, self._driver)}

    def after_old_errors(self) -> Devices:
        """What the second look sees, long after the first."""
        self.look()
        self.wait()
        return self.look()

    def wait(self) -> None:
        """Until what counters grew by is long ago."""
        self._moment += HOLD

    def infect(self, card: str, source: Mapping[str, Any]) -> Callable[[], object]:
        """Make the card ill as ``source`` says; what makes it as it was."""
        if "nvml" in source:
            entries = self._case.data["nvml"]["devices"]
            entry = next(one for one in entries if one["bus_id"].lower().endswith(card))
            was = dict(entry)
            entry[source["nvml"]] = source["bad"]
            return lambda: (entry.clear(), entry.update(was))
        file = self.file(card, source["file"])
        good = file.read_text(encoding="utf-8") if file.exists() else None
        _write(file, f"{source['bad']}\n")
        return file.unlink if good is None else partial(_write, file, good)

    def file(self, card: str, name: str) -> Path:
        return (self.twin.sysfs / "bus/pci/devices" / card).resolve() / name


@contextlib.contextmanager
def _ward(subject: Subject, case: Case) -> Iterator[_Ward]:
    with subject.twin(case) as twin:
        yield _Ward(subject, case, twin)


def tells_new_errors_from_old_ones(subject: Subject) -> Iterator[str]:
    """A fatal error is one until nothing was added to it for a while; errors of long ago are none."""
    for case in subject.cases:
        cards = [address for address, entry in case.functions.items() if isinstance(entry, dict)]
        for card in _well(subject, case, cards)[:MOST]:
            with _ward(subject, case) as ward:
                yield from _new_errors(f"{case.name}: {card}", card, ward)


def _new_errors(says: str, card: str, ward: _Ward) -> Iterator[str]:
    counter = ward.file(card, FATAL)
    _write(counter, TOTAL.format(3))
    before = ward.after_old_errors()
    if before[card].health is Health.FAILED:
        yield f"{says} is failed for errors of long ago; count growth, see `PciFunction.grew`"
        return
    _write(counter, TOTAL.format(4))
    yield from _ill(f"{says} has a fatal error", card, before, ward.look(), (Health.FAILED, None))
    yield from _again(f"{says} had a fatal error a moment ago", before, ward)


def follows_its_sources(subject: Subject) -> Iterator[str]:
    for case in subject.cases:
        for source in case.data.get("health") or ():
            name = source.get("file") or f"NVML's {source['nvml']}"
            with _ward(subject, case) as ward:
                yield from _source(f"{case.name}: {source['card']} with {name} {source['bad']!r}", source, ward)


def _source(says: str, source: Mapping[str, Any], ward: _Ward) -> Iterator[str]:
    card = source["card"]
    before = ward.after_old_errors()
    if card not in before:
        yield f"{says}: there is no such device"
        return
    recover = ward.infect(card, source)
    yield from _ill(says, card, before, ward.look(), (Health(source["health"]), source["reason"]))
    recover()
    yield from _again(f"{says}, which then is as it was before", before, ward)


def _write(file: Path, text: str) -> None:
    """In place of a file that cannot be read, too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_text(text, encoding="utf-8")


def _well(subject: Subject, case: Case, cards: list[str]) -> list[str]:
    with _ward(subject, case) as ward:
        found = ward.look()
    return [card for card in cards if card in found and found[card].health is not Health.FAILED]


def _ill(says: str, card: str, before: Devices, now: Devices, wanted: tuple[Health, str | None]) -> Iterator[str]:
    health, reason = wanted
    sick = now.get(card)
    if sick is None:
        yield f"{says}, and is left out: its holder would be told that it is gone"
        return
    if sick.health is not health:
        yield f"{says}, and its health is {sick.health}, not {health}"
    elif not set(sick.health_reasons) - set(before[card].health_reasons) or reason not in (None, *sick.health_reasons):
        yield f"{says}, and its reasons do not say so: {', '.join(sick.health_reasons) or 'none'}"
    for other in sorted({*before, *now} - {card}):
        if other not in now or other not in before or now[other].health is not before[other].health:
            yield f"{says}, and the health of {other} changes"


def _again(says: str, before: Devices, ward: _Ward) -> Iterator[str]:
    ward.wait()
    now = ward.look()
    for card in sorted({*before, *now}):
        if before.get(card) != now.get(card):
            yield f"{says}: the report of {card} is not as before"
