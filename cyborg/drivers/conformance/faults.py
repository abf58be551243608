# SPDX-License-Identifier: Apache-2.0
"""Checks with one broken function: it costs its own card at most, and the driver does not fail."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from cyborg.drivers import recorded
from cyborg.drivers.conformance.subject import Subject
from cyborg.drivers.host import Host

#: Of a host with many functions, as many are broken, one after the other.
MOST = 4


def isolates_a_broken_function(subject: Subject) -> Iterator[str]:
    for case in subject.cases:
        before = {device.address: device for device in subject.first_look(case)}
        for address in [name for name, entry in case.functions.items() if isinstance(entry, dict)][:MOST]:
            with subject.twin(case) as twin:
                concerned = touched_by(twin.host, address)
            for fault, spoil in FAULTS.items():
                where = f"{case.name}: {address} {fault}"
                with subject.twin(case) as broken:
                    spoil((broken.sysfs / "bus/pci/devices" / address).resolve())
                    try:
                        after = {device.address: device for device in subject.look(case, broken.host)}
                    except Exception as exc:  # noqa: BLE001 - whatever leaves a driver here is the finding
                        yield f"{where}, and the driver fails: {type(exc).__name__}: {exc}"
                        continue
                if fault in GONE and address in after:
                    yield f"{where} and is still reported"
                for other in sorted({*before, *after} - concerned):
                    if before.get(other) != after.get(other):
                        yield f"{where}, and the report of {other} changes"


def _every_file(place: Path, spoil: Callable[[Path], object]) -> None:
    for path in sorted(place.rglob("*")):
        if path.is_file() and not path.is_symlink():
            spoil(path)


def _replace_by_error(file: Path) -> None:
    file.unlink()
    file.symlink_to(recorded.FAILS_WITH_EIO)


def _dead(place: Path) -> None:
    for name in ("vendor", "device"):
        (place / name).unlink(missing_ok=True)
        (place / name).write_text("0xffff\n", encoding="utf-8")


def _all_but_its_ids(place: Path, spoil: Callable[[Path], object]) -> None:
    _every_file(place, lambda file: spoil(file) if file.name not in ("vendor", "device") else None)


NOISE = b"\xff\xfe\x00 0x\n-"
FAULTS: dict[str, Callable[[Path], None]] = {
    "is gone": shutil.rmtree,
    "reads as all ones": _dead,
    "answers every read with EIO": lambda place: _every_file(place, _replace_by_error),
    "has empty files": lambda place: _every_file(place, lambda file: file.write_bytes(b"")),
    "has noise in every file but its ids": lambda place: _all_but_its_ids(place, lambda file: file.write_bytes(NOISE)),
    "lacks all files but its ids": lambda place: _all_but_its_ids(place, Path.unlink),
}
GONE = frozenset({"is gone", "reads as all ones", "answers every read with EIO", "has empty files"})


def touched_by(host: Host, address: str) -> set[str]:
    """What the fault may change: the slot, PF and VFs, the IOMMU group, and what those share in turn."""
    functions = host.pci()
    found = {address}
    for _ in functions:
        known = [function for function in functions if function.address in found]
        slots = {function.address.rpartition(".")[0] for function in known}
        groups = {function.iommu_group for function in known} - {None}
        family = {other for one in known for other in (one, one.physfn, *one.virtfns.values())}
        found |= {
            other.address
            for other in functions
            if other in family or other.iommu_group in groups or other.address.rpartition(".")[0] in slots
        }
    return found
