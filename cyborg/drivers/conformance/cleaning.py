# SPDX-License-Identifier: Apache-2.0
"""Checks of cleaning: whatever happens, what is said to be clean is clean, and nothing of the host's is erased."""

import errno
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from cyborg.domain import errors, host_work, report, wire
from cyborg.drivers.base import Cleans
from cyborg.drivers.conformance.subject import Hung, Subject
from cyborg.drivers.conformance.working import Bench, benches, needs_writes
from cyborg.drivers.lending import GUESTS
from cyborg.drivers.twin_disk import FAULTS

#: A disk of the kit's own, which the host has mounted.
DISK, NUMBER = "kitdisk", "259:77"
STILL_THERE = "`clean` returns, and what {} left is still there"


def cleans_or_says_no(subject: Subject) -> Iterator[str]:
    for bench in benches(subject, lambda one: one.cleans):
        before = _but_for_functions(bench.look())
        soiled = bench.use()
        try:
            bench.clean()
        except errors.CyborgError:
            continue
        if soiled in bench.twin.dirty:
            yield bench.says(STILL_THERE.format("the last guest"))
        bench.clean()
        bench.release()
        was_ready = host_work.needs_preparation(bench.unit.type, bench.unit.info) and not needs_writes(bench)
        if _but_for_functions(bench.look()) != before and not was_ready:
            yield bench.says("after clean and release the report is not as before")


def cleans_after_every_guest(subject: Subject) -> Iterator[str]:
    """By one and the same instance, which may not take what it did for the first guest for the second one's."""
    for bench in benches(subject, lambda one: one.cleans):
        driver = cast(Cleans, subject.driver(bench.case))
        for guest in ("the first guest", "the second guest"):
            try:
                soiled = bench.use()
            except errors.CyborgError:  # recorded with what was clean already and cannot be had again
                break
            if not _cleans(bench, driver):
                break
            if soiled in bench.twin.dirty:
                yield bench.says(STILL_THERE.format(guest))
            bench.release()


def cleans_what_a_hypervisor_kept(subject: Subject) -> Iterator[str]:
    """The function is still bound for guests, where the host's drivers do not see it."""
    for bench in benches(subject, lambda one: one.cleans):
        if bench.unit.type is report.HandleType.MDEV or "vgpu_type" in bench.unit.info:
            continue
        soiled = bench.use()
        if soiled is None:
            continue
        bench.twin.bind(soiled, GUESTS)
        try:
            bench.clean()
        except errors.CyborgError:
            continue
        if soiled in bench.twin.dirty:
            yield bench.says(f"bound to {GUESTS}: {STILL_THERE.format('the last guest')}")
        function = next((one for one in bench.twin.host.pci() if one.address == soiled), None)
        if function is None or function.driver != GUESTS:
            yield bench.says(f"it was bound to {GUESTS}, and is not any more after `clean`")


def remembers_what_failed(subject: Subject) -> Iterator[str]:
    """A step that was refused is done when it is asked for again, or refused again, but not taken for done."""
    for first in benches(subject, lambda one: one.cleans):
        with first.ready("clean") as whole:
            try:
                whole.clean()
            except errors.CyborgError:
                continue
            files = sorted({path for path, _ in whole.twin.writes})
        for file in files:
            with first.anew() as bench:
                soiled = bench.use()
                driver = cast(Cleans, subject.driver(bench.case))
                bench.twin.refuse_file(file, errno.EIO)
                if _cleans(bench, driver) and soiled in bench.twin.dirty:
                    yield bench.says(f"{file} answers EIO: {STILL_THERE.format('the last guest')}")
                bench.twin.refuse_file(file, 0)
                if _cleans(bench, driver) and soiled in bench.twin.dirty:
                    yield bench.says(
                        f"{file} answered EIO once, and when repeated {STILL_THERE.format('the last guest')}"
                    )


def spares_what_the_host_uses(subject: Subject) -> Iterator[str]:
    """The host has begun to use what a guest left: it has mounted a disk that is there."""
    for bench in benches(subject, lambda one: one.cleans):
        soiled = None if bench.unit.type is report.HandleType.MDEV else bench.use()
        if soiled is None or "vgpu_type" in bench.unit.info:
            continue
        _mount(bench, soiled)
        bench.twin.writes.clear()
        try:
            bench.clean()
        except errors.CyborgError:
            pass
        else:
            yield bench.says(f"the host has mounted a disk of {soiled}, and `clean` does not refuse")
        if soiled not in bench.twin.dirty:
            yield bench.says(f"the host has mounted a disk of {soiled}, and it is erased")


def verifies_what_was_erased(subject: Subject) -> Iterator[str]:
    """Disks that refuse to be erased, fail at it, never end, or lie."""
    for first in benches(subject, lambda one: one.cleans):
        for fault in FAULTS if first.twin.disks else ():
            with first.anew() as bench:
                soiled = bench.use()
                if soiled not in bench.twin.disks:
                    break
                bench.twin.disks[soiled].fault = fault
                try:
                    bench.clean()
                except errors.CyborgError:
                    continue
                except Hung:
                    yield bench.says(f"a disk that {FAULTS[fault]}, and `clean` does not give up")
                else:
                    if soiled in bench.twin.dirty:
                        yield bench.says(f"a disk that {FAULTS[fault]} is said to be clean")


def _but_for_functions(devices: tuple[report.Device, ...]) -> list[str]:
    """What an FPGA was programmed with is not what it has when it is clean."""
    return [re.sub(r'"[A-Z0-9_]+_FUNCTION_[0-9A-F]{32}",? ?', "", json.dumps(wire.to_wire(one))) for one in devices]


def _cleans(bench: Bench, driver: Cleans) -> bool:
    try:
        bench.subject.within_limit(lambda: driver.clean(bench.twin.host, bench.unit))
    except errors.CyborgError:
        return False
    return True


def _mount(bench: Bench, address: str) -> None:
    twin = bench.twin
    place = (twin.sysfs / "bus/pci/devices" / address).resolve() / "block" / DISK
    place.mkdir(parents=True)
    (place / "dev").write_text(f"{NUMBER}\n", encoding="utf-8")
    link = twin.sysfs / "class/block" / DISK
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(Path("../..") / place.relative_to(twin.sysfs.resolve()))
    mounts = twin.root / "proc/self/mountinfo"
    mounts.parent.mkdir(parents=True, exist_ok=True)
    with mounts.open("a", encoding="utf-8") as file:
        file.write(f"99 1 {NUMBER} / /mnt rw - ext4 /dev/{DISK} rw\n")
