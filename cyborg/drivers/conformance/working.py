# SPDX-License-Identifier: Apache-2.0
"""Checks of host work: the same however often it is done and wherever it dies, and never at another's cost.

What is left after a guest is the subject of `cleaning`.
"""

import contextlib
import dataclasses
import errno
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from cyborg.domain import errors, host_work, report
from cyborg.domain.host_work import Unit
from cyborg.drivers.base import Cleans, Prepares
from cyborg.drivers.conformance.subject import Case, Subject, units
from cyborg.drivers.twin import Died, Twin

#: Of each device, as many units are worked on.
MOST_UNITS = 2
#: No step of a sane driver writes more often.
MOST_WRITES = 50

Info = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One unit on its host. Every step is done by a new instance, as after a restart of the agent."""

    subject: Subject
    case: Case
    twin: Twin
    unit: Unit

    @property
    def prepares(self) -> bool:
        return isinstance(self.subject.driver(self.case), Prepares)

    @property
    def cleans(self) -> bool:
        return isinstance(self.subject.driver(self.case), Cleans)

    @contextlib.contextmanager
    def anew(self) -> Iterator["Bench"]:
        """The same unit on a host that nothing has happened to."""
        with self.subject.twin(self.case) as twin:
            yield dataclasses.replace(self, twin=twin)

    @contextlib.contextmanager
    def ready(self, step: str) -> Iterator["Bench"]:
        """As `anew`, and the step is what comes next."""
        with self.anew() as bench:
            if step != "prepare":
                bench.use()
                bench.twin.writes.clear()
            yield bench

    def prepare(self, unit: Unit | None = None) -> Info:
        driver = self.subject.driver(self.case)
        if not isinstance(driver, Prepares):
            return self.unit.info
        return self.subject.within_limit(lambda: driver.prepare(self.twin.host, unit or self.unit, {}))

    def release(self, unit: Unit | None = None) -> None:
        driver = self.subject.driver(self.case)
        if isinstance(driver, Prepares):
            self.subject.within_limit(lambda: driver.release(self.twin.host, unit or self.unit))

    def clean(self, unit: Unit | None = None) -> None:
        driver = cast(Cleans, self.subject.driver(self.case))
        self.subject.within_limit(lambda: driver.clean(self.twin.host, unit or self.unit))

    def look(self) -> tuple[report.Device, ...]:
        return self.subject.look(self.case, self.twin.host)

    def says(self, what: str) -> str:
        return f"{self.case.name}: {self.unit.address} {self.unit.key}: {what}"

    def use(self) -> str | None:
        """A guest has the unit: prepared, attached and soiled. What was soiled; None for what is no PCI function."""
        info = self.prepare()
        address = report.Accelerator(key="", type=self.unit.type, info=info).pci_address
        if address is None:
            return None
        if self.unit.type is report.HandleType.MDEV:
            try:
                self.twin.make_mdev(address, str(info["asked_type"]), self.unit.uuid)
            except OSError:  # recorded with guests on it, so there is no room for another one
                return None
        subject = self.unit.uuid if self.unit.type is report.HandleType.MDEV else address
        self.twin.soil(subject)
        return subject


Step = Callable[[Bench], object]
STEPS: dict[str, Step] = {"prepare": Bench.prepare, "clean": Bench.clean, "release": Bench.release}


def prepares_what_can_be_attached(subject: Subject) -> Iterator[str]:
    for bench in benches(subject, lambda one: one.prepares):
        info = bench.prepare()
        if host_work.needs_preparation(bench.unit.type, info) and "vgpu_type" not in info:
            yield bench.says(f"prepared, it still has no address: {dict(info)}")
        offered = {(one.address, one.part, one.key): one.info for one in units(bench.look())}
        if offered.get((bench.unit.address, bench.unit.part, bench.unit.key)) != info:
            yield bench.says("what `prepare` returns is not what the next look reports for the unit")


def repeats_to_no_effect(subject: Subject) -> Iterator[str]:
    for bench in benches(subject, lambda one: one.prepares):
        info = bench.prepare()
        written = len(bench.twin.writes)
        if bench.prepare() != info:
            yield bench.says("prepared a second time it is something else")
        if len(bench.twin.writes) > written:
            yield bench.says(f"prepared a second time it is written to: {bench.twin.writes[written:]}")
        bench.release()
        written = len(bench.twin.writes)
        bench.release()
        if len(bench.twin.writes) > written:
            yield bench.says(f"released a second time it is written to: {bench.twin.writes[written:]}")


def releases_what_it_made(subject: Subject) -> Iterator[str]:
    for bench in benches(subject, lambda one: one.prepares):
        before = bench.look()
        if not needs_writes(bench):
            continue
        bench.release()
        if bench.look() != before:
            yield bench.says("releasing what was never prepared changes the report")
        info = bench.prepare()
        bench.release()
        if bench.look() != before:
            yield bench.says("after prepare and release the report is not as before")
        if bench.prepare() != info:
            yield bench.says("prepared once more after a release it is something else")


def needs_writes(bench: Bench) -> bool:
    """Whether the unit is yet to be prepared; the recorded host may have it ready."""
    with bench.anew() as other:
        other.prepare()
        return bool(other.twin.writes)


def survives_a_death_at_any_write(subject: Subject) -> Iterator[str]:
    for first in benches(subject, lambda one: one.prepares or one.cleans):
        for name in _steps(first):
            with first.ready(name) as whole:
                try:
                    expected = STEPS[name](whole)
                except errors.CyborgError:
                    continue
                end = _End(answer=expected, devices=whole.look(), dirty=frozenset(whole.twin.dirty))
            for number, after in itertools.product(range(1, MOST_WRITES), (False, True)):
                with first.ready(name) as bench:
                    bench.twin.die_at(number, after=after)
                    try:
                        STEPS[name](bench)
                    except Died:
                        bench.twin.live()
                        yield from _again(bench, name, end)
                    else:
                        break


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """What a step comes to when nobody dies."""

    answer: object
    devices: tuple[report.Device, ...]
    dirty: frozenset[str]


def _again(bench: Bench, name: str, end: _End) -> Iterator[str]:
    """The step is repeated after a death: it must come to the same end."""
    try:
        answer = STEPS[name](bench)
    except errors.CyborgError as exc:
        yield bench.says(f"after a death in {name} it cannot be repeated: {exc.message}")
        return
    if answer != end.answer or bench.look() != end.devices or bench.twin.dirty != end.dirty:
        yield bench.says(f"after a death in {name} and a repetition it is not as without a death")


def _steps(bench: Bench) -> list[str]:
    return [name for name in STEPS if name != "clean" or bench.cleans]


def tells_refusals(subject: Subject) -> Iterator[str]:
    """A kernel that says no must not be taken for one that says yes, nor break through to the agent."""
    for first in benches(subject, lambda one: one.prepares or one.cleans):
        for name in _steps(first):
            with first.ready(name) as whole:
                try:
                    STEPS[name](whole)
                except errors.CyborgError:
                    continue
                files = sorted({path for path, _ in whole.twin.writes})
            for file, code in itertools.product(files, (errno.EBUSY, errno.EIO)):
                with first.ready(name) as bench:
                    bench.twin.refuse_file(file, code)
                    yield from _refused(bench, name, f"{file} answers {errno.errorcode[code]}")


def _refused(bench: Bench, name: str, what: str) -> Iterator[str]:
    try:
        STEPS[name](bench)
    except errors.CyborgError:
        return
    except Exception as exc:  # noqa: BLE001 - that it gets here is the finding
        yield bench.says(f"{what}, and {name} raises {type(exc).__name__}, which is no error of ours")
        return
    yield bench.says(f"{what}, and {name} says that it was done")


def disturbs_nobody(subject: Subject) -> Iterator[str]:
    """The neighbours on the card, and on its bus, are held and in use, whatever is done to the unit."""
    for bench in benches(subject, lambda one: one.prepares or one.cleans):
        others = [one for one in units(bench.look()) if one.address == bench.unit.address and one.key != bench.unit.key]
        used = {dataclasses.replace(bench, unit=other).use() for other in others[:MOST_UNITS]} - {None}
        around = bench.twin.host.pci()
        bus = bench.unit.address.rpartition(":")[0]
        near = {function.address for function in around if function.address.rpartition(":")[0] == bus}
        own = {bench.unit.address, report.Accelerator(key="", type=bench.unit.type, info=bench.unit.info).pci_address}
        held = frozenset(address for address in (*near, *used) if address and address not in own)
        bench.twin.dirty |= held
        before = {one.address: (one.driver, one.device) for one in around if one.address in held}
        unit = dataclasses.replace(bench.unit, held=held)
        for step in (bench.prepare, *((bench.clean,) if bench.cleans else ()), bench.release):
            try:
                step(unit)
            except errors.CyborgError:
                continue
        after = {one.address: (one.driver, one.device) for one in bench.twin.host.pci()}
        for address, was in before.items():
            if after.get(address) != was:
                yield bench.says(f"work on it takes {address} away, which another request holds")
        taken = {name for name in (*held, *used) if name is not None} - bench.twin.dirty
        if taken:
            yield bench.says(f"work on it resets {sorted(taken)}, which others hold")


def leaves_another_card_alone(subject: Subject) -> Iterator[str]:
    for bench in benches(subject, lambda one: one.prepares or one.cleans):
        if bench.unit.address not in {function.address for function in bench.twin.host.pci()}:
            continue
        bench.use()
        written = len(bench.twin.writes)
        other = dataclasses.replace(bench.unit, model="0bad")
        for name, step in (("prepare", bench.prepare), ("clean", bench.clean), ("release", bench.release)):
            if name == "clean" and not bench.cleans:
                continue
            try:
                step(other)
            except errors.CyborgError:
                continue
            if name == "clean":
                yield bench.says("another card is at the address now, and `clean` says that it is safe")
        if len(bench.twin.writes) > written:
            yield bench.says(f"another card is at the address now, and it is written to: {bench.twin.writes[written:]}")


def benches(subject: Subject, concerns: Callable[[Bench], bool]) -> Iterator[Bench]:
    """A fresh host for each of the first units of each device."""
    for case in subject.cases:
        counts: dict[str, int] = {}
        for unit in units(subject.first_look(case)):
            counts[unit.address] = counts.get(unit.address, 0) + 1
            if counts[unit.address] <= MOST_UNITS:
                with subject.twin(case) as twin:
                    bench = Bench(subject=subject, case=case, twin=twin, unit=unit)
                    if concerns(bench):
                        yield bench
