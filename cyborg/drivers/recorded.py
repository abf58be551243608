# SPDX-License-Identifier: Apache-2.0
"""A host written down in one file, made into a tree of files that `Host` can read.

It serves the golden tests and the demonstration. The file names functions by address; what the kernel would link
together is linked from a few words, anything else is written down as it is:

    pci:
      "0000:3a:00.0": {vendor: 0x8086, device: 0x2030, class: 0x060400, driver: pcieport}
      "0000:3b:00.0":
        {vendor: 0x10de, device: 0x26b9, class: 0x030200, numa_node: 0, driver: nvidia, iommu_group: 40}
      "0000:3b:00.4": {vendor: 0x10de, device: 0x26b9, class: 0x030200, physfn: "0000:3b:00.0"}
      "0000:5e:00.0":
        vendor: 0x8086
        aer: {fatal: 1}                                    # fatal, nonfatal, correctable: the totals
        fpga_region: {region0: {dfl-port.0: {afu_id: {error: EIO}}}}
      "0000:af:00.0": vanished                             # listed, and gone when it is read
    files:
      proc/swaps: "Filename  Type  Size  Used  Priority"
      sys/class/block/sda: {link: ../../devices/pci0000:00/0000:00:17.0/block/sda}

A text or number is the content of a file; numbers of ids are written as the kernel writes them. A mapping is a
directory, unless its only key is ``link``, ``raw`` (exact text), ``hex`` (exact bytes) or ``error`` (EIO: reading it
fails).
The n-th function with the same ``physfn`` becomes its ``virtfn<n>``, and ``sriov_numvfs`` counts them; a
``reset_method`` brings the file ``reset``, and every function has a ``driver_override``.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cyborg.domain import errors
from cyborg.drivers.host import Host

TREES = ("sys", "dev", "proc")
HEX_WIDTH = {"vendor": 4, "device": 4, "subsystem_vendor": 4, "subsystem_device": 4, "class": 6, "revision": 2}
AER_TOTALS = {"fatal": "TOTAL_ERR_FATAL", "nonfatal": "TOTAL_ERR_NONFATAL", "correctable": "TOTAL_ERR_COR"}
LINKED = frozenset({"driver", "iommu_group", "physfn", "aer"})
SPECIAL = frozenset({"link", "raw", "hex", "error"})
#: Reading one's own memory at address 0 fails with EIO, for every user.
FAILS_WITH_EIO = "/proc/self/mem"


def materialise(recording: Path | Mapping[str, Any], target: Path) -> Host:
    """Write the tree below ``target``, in place of an earlier one there, and return the host that reads it.

    ``recording`` is a file, or what would stand in one.
    """
    data = load(recording) if isinstance(recording, Path) else recording
    for tree in TREES:
        shutil.rmtree(target / tree, ignore_errors=True)
    try:
        _Tree(target, data.get("pci") or {}).write()
        for path, content in (data.get("files") or {}).items():
            put(target / path, content)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise errors.HostUnreadable(f"The recorded host {recording} is not understood: {exc!r}.") from exc
    return Host(sysfs=target / "sys", devfs=target / "dev", procfs=target / "proc")


def load(recording: Path) -> dict[str, Any]:
    """What stands in the file; raises HostUnreadable for one that cannot be had, or is no recorded host."""
    try:
        data = yaml.safe_load(recording.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise errors.HostUnreadable(f"The recorded host {recording} cannot be read: {exc}.") from exc
    if not isinstance(data, dict):
        raise errors.HostUnreadable(f"The recorded host {recording} is not understood: it is no mapping.")
    return data


class _Tree:
    def __init__(self, target: Path, functions: Mapping[str, Any]) -> None:
        self._sys = target / "sys"
        self._functions = functions
        self._vfs: dict[str, list[str]] = {}
        for address, entry in functions.items():
            if isinstance(entry, Mapping) and "physfn" in entry:
                self._vfs.setdefault(entry["physfn"], []).append(address)

    def write(self) -> None:
        (self._sys / "bus/pci/devices").mkdir(parents=True)
        for address, entry in self._functions.items():
            _link(self._sys / "bus/pci/devices" / address, self._place(address))
            if entry != "vanished":
                self._function(address, dict(entry))

    def _place(self, address: str) -> Path:
        return self._sys / "devices" / f"pci{address.rpartition(':')[0]}" / address

    def _function(self, address: str, entry: dict[str, Any]) -> None:
        place = self._place(address)
        place.mkdir(parents=True)
        vfs = self._vfs.get(address, [])
        for number, vf in enumerate(vfs):
            _link(place / f"virtfn{number}", self._place(vf))
        if vfs or "sriov_totalvfs" in entry:
            entry.setdefault("sriov_numvfs", len(vfs))
        entry.setdefault("driver_override", "(null)")
        if entry.get("reset_method"):
            entry.setdefault("reset", "")
        if "physfn" in entry:
            _link(place / "physfn", self._place(entry["physfn"]))
        if entry.get("driver"):
            _link(place / "driver", self._sys / "bus/pci/drivers" / entry["driver"])
        if entry.get("iommu_group") is not None:
            group = self._sys / "kernel/iommu_groups" / str(entry["iommu_group"])
            _link(place / "iommu_group", group)
            _link(group / "devices" / address, place)
        for kind, count in entry.get("aer", {}).items():
            put(place / f"aer_dev_{kind}", f"Undefined 0\n{AER_TOTALS[kind]} {count}")
        for name, content in entry.items():
            if name not in LINKED:
                put(place / name, content, width=HEX_WIDTH.get(name))


def _link(path: Path, destination: Path) -> None:
    """Relative, as the kernel's links are, so that the tree can be moved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(destination, path.parent))


def put(path: Path, content: Any, width: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Mapping) and not (len(content) == 1 and SPECIAL & set(content)):
        path.mkdir(exist_ok=True)
        for name, inner in content.items():
            put(path / str(name), inner)
    elif isinstance(content, Mapping):
        _put_special(path, *next(iter(content.items())))
    else:
        text = f"0x{content:0{width}x}" if width and isinstance(content, int) else str(content)
        path.write_text(f"{text}\n", encoding="utf-8")


def _put_special(path: Path, kind: str, value: str) -> None:
    if kind == "link":
        path.symlink_to(value)
    elif kind == "raw":
        path.write_text(value, encoding="utf-8")
    elif kind == "hex":
        path.write_bytes(bytes.fromhex(value))
    elif value == "EIO":
        path.symlink_to(FAILS_WITH_EIO)
    else:
        raise ValueError(f"no way to make reading fail with {value}")
