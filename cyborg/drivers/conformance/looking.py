# SPDX-License-Identifier: Apache-2.0
"""Checks of how a driver looks: the same each time, without a trace, and never at what must be left alone."""

import re
import shutil
from collections.abc import Iterator

from cyborg.domain import report
from cyborg.drivers.base import Measures
from cyborg.drivers.conformance import renumber as numbers
from cyborg.drivers.conformance.subject import Case, Subject
from cyborg.drivers.conformance.watch import watched
from cyborg.drivers.twin import Twin

#: Reading these asks the card itself, or wakes it.
NEVER = re.compile(r"config|vpd|rom|resource\d*(_wc)?")
AWAKE_ONLY = re.compile(
    r"(temp|power|energy|fan|in|curr)\d+_(input|average)|(gpu|mem)_busy_percent|(current|max)_link_(speed|width)|status"
)
FLEETING = re.compile(r"(temp|power|energy|fan|in|curr)\d+_(input|average)|(gpu|mem)_busy_percent|mem_info_\w+_used")
ASLEEP = "D3cold"


def is_stable(subject: Subject) -> Iterator[str]:
    for case in subject.cases:
        with subject.twin(case) as twin:
            driver = subject.driver(case)
            first = subject.look(case, twin.host, driver)
            if subject.look(case, twin.host, driver) != first:
                yield f"{case.name}: its second look differs from the first, and nothing has changed"
            if subject.look(case, twin.host) != first:
                yield f"{case.name}: another instance sees something else, so a restart would change the books"


def leaves_out_what_changes_by_itself(subject: Subject) -> Iterator[str]:
    """Temperatures and the like belong to `Measures`: every report would differ from the last."""
    for case in subject.cases:
        with subject.twin(case) as twin:
            before = subject.look(case, twin.host)
            for file in twin.sysfs.rglob("*"):
                if FLEETING.fullmatch(file.name) and not file.is_symlink() and file.read_text().strip().isdecimal():
                    file.write_text(f"{int(file.read_text()) + 1}\n", encoding="utf-8")
            if subject.look(case, twin.host) != before:
                yield f"{case.name}: a sensor that moved by one changes the report; give such values in `measure`"


def keeps_identity_when_renumbered(subject: Subject) -> Iterator[str]:
    for case in subject.cases:
        renumber = numbers.renumbering(case)
        if renumber is None:
            continue
        before = sorted(renumber(numbers.text_of(one)) for one in subject.first_look(case))
        after = sorted(numbers.text_of(one) for one in subject.first_look(numbers.case_of(case, renumber)))
        for expected, got in zip(before, after, strict=False):
            if expected != got:
                yield f"{case.name}: with other bus numbers a card is more than renumbered: {expected} became {got}"
        if len(before) != len(after):
            yield f"{case.name}: with other bus numbers it finds {len(after)} cards and not {len(before)}"


def only_reads(subject: Subject) -> Iterator[str]:
    for case in subject.cases:
        with subject.twin(case) as twin:
            before = twin.state()
            with watched(twin.root) as seen:
                _look_and_measure(subject, case, twin)
            changed = sorted({*seen.changed, *(one for one, _ in twin.writes)})
            outside = sorted(set(seen.outside))
            yield from (f"{case.name}: it changes {path}" for path in changed)
            yield from (f"{case.name}: it starts {what}" for what in seen.started)
            yield from (f"{case.name}: it opens {path} of this machine; ask the host" for path in outside)
            if twin.state() != before:
                yield f"{case.name}: the host is not as it was before the look"


def lets_sleepers_sleep(subject: Subject) -> Iterator[str]:
    for case in subject.cases:
        asleep = case
        for address, entry in case.functions.items():
            if isinstance(entry, dict):
                asleep = asleep.with_function(address, power_state=ASLEEP)
        hosts = {
            "": (case, NEVER),
            " of a sleeping card": (asleep, re.compile(f"{NEVER.pattern}|{AWAKE_ONLY.pattern}")),
        }
        for words, (one, forbidden) in hosts.items():
            with subject.twin(one) as twin:
                _plant_forbidden(twin)
                with watched(twin.root) as seen:
                    _look_and_measure(subject, one, twin)
            for name in sorted(seen.names_read):
                if forbidden.fullmatch(name):
                    yield f"{case.name}: it reads {name}{words}"


def tells_blind_from_empty(subject: Subject) -> Iterator[str]:
    """A bus that cannot be listed is not a bus without cards."""
    for case in subject.cases:
        with subject.twin(case) as twin:
            on_the_bus = {function.address for function in twin.host.pci()}
            if not on_the_bus & {device.address for device in subject.look(case, twin.host)}:
                continue
            shutil.rmtree(twin.sysfs / "bus/pci")
            try:
                found = subject.look(case, twin.host)
            except Exception:  # noqa: BLE001, S112 - any will do: the agent then changes nothing
                continue
        yield f"{case.name}: when the bus cannot be listed it reports {len(found)} devices, as if the others were gone"


def gives_vfs_or_the_card(subject: Subject) -> Iterator[str]:
    for case in subject.cases:
        with subject.twin(case) as twin:
            functions = {function.address: function for function in twin.host.pci()}
            devices = subject.look(case, twin.host)
            vfs = {address for address, function in functions.items() if function.is_vf}
            divided = {address for address, function in functions.items() if function.vfs_on}
        for device in devices:
            if device.address in vfs:
                yield f"{case.name}: {device.address} is a virtual function whose card is on this host, and no device"
        for address in _offered(devices) & divided:
            yield f"{case.name}: {address} has virtual functions, so it must not be given away itself"


def withholds_what_the_host_needs(subject: Subject) -> Iterator[str]:
    for case in subject.cases:
        plain = _offered(subject.first_look(case), whole=True)
        for address in sorted(plain & set(case.functions)):
            console = case.with_function(address, boot_vga=1)
            is_vf = "physfn" in case.functions[address]
            if not is_vf and address in _offered(subject.first_look(console)):
                yield f"{case.name}: it offers {address} although that is the host's console (boot_vga)"
            if address in _offered(subject.first_look(_with_neighbour(case, address))):
                yield f"{case.name}: it offers {address}, whose IOMMU group has a function that the host uses"


def measures_its_devices(subject: Subject) -> Iterator[str]:
    for case in subject.cases:
        driver = subject.driver(case)
        if not isinstance(driver, Measures):
            return
        with subject.twin(case) as twin:
            known = {device.address for device in subject.look(case, twin.host, driver)}
            measured = driver.measure(twin.host)
        for address, values in measured.items():
            if address not in known:
                yield f"{case.name}: it measures {address}, which it does not report"
            if not values or not all(type(value) in (int, float) for value in values.values()):
                yield f"{case.name}: {address} measures {values!r}: numbers by name are wanted, or no entry"


def _look_and_measure(subject: Subject, case: Case, twin: Twin) -> None:
    driver = subject.driver(case)
    subject.look(case, twin.host, driver)
    if isinstance(driver, Measures):
        subject.within_limit(lambda: driver.measure(twin.host))


def _plant_forbidden(twin: Twin) -> None:
    """Files that every real function has, so that a driver which reads them is seen to."""
    for place in (twin.sysfs / "bus/pci/devices").glob("*"):
        for name in ("config", "vpd", "rom", "resource", "resource0", "current_link_width", "max_link_width"):
            if place.is_dir() and not (place / name).exists():
                (place / name).write_text("0\n", encoding="utf-8")


def _offered(devices: tuple[report.Device, ...], *, whole: bool = False) -> set[str]:
    """Addresses of PCI accelerators; ``whole`` are those that are functions, and no part of one."""
    kinds = {report.HandleType.PCI} if whole else {report.HandleType.PCI, report.HandleType.MDEV}
    return {
        one.pci_address
        for device in devices
        for _, part in device.walk()
        for one in part.accelerators
        if one.pci_address and one.type in kinds
    }


def _with_neighbour(case: Case, address: str) -> Case:
    group = case.functions[address].get("iommu_group", 4000)
    neighbour = {"vendor": 0x1B21, "device": 0x0612, "class": 0x010601, "driver": "ahci", "iommu_group": group}
    functions = {**case.functions, "0000:fe:1f.0": neighbour}
    functions[address] = {**functions[address], "iommu_group": group}
    return Case(name=case.name, data={**case.data, "pci": functions})
