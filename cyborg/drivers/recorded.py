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
import posixpath
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from cyborg.domain import errors
from cyborg.drivers.host import Host

#: The bytes of a file, where a link points, or None for a directory.
Content: TypeAlias = bytes | str | None
#: What a tree holds, by path below its root; a directory comes before what is in it.
Contents: TypeAlias = dict[str, Content]

TREES = ("sys", "dev", "proc")
HEX_WIDTH = {"vendor": 4, "device": 4, "subsystem_vendor": 4, "subsystem_device": 4, "class": 6, "revision": 2}
AER_TOTALS = {"fatal": "TOTAL_ERR_FATAL", "nonfatal": "TOTAL_ERR_NONFATAL", "correctable": "TOTAL_ERR_COR"}
LINKED = frozenset({"driver", "iommu_group", "physfn", "aer"})
SPECIAL = frozenset({"link", "raw", "hex", "error"})
#: Reading one's own memory at address 0 fails with EIO, for every user.
FAILS_WITH_EIO = "/proc/self/mem"
DEVICES = "sys/bus/pci/devices"
#: The parser of libyaml, where there is one, takes a tenth of the time.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def materialise(recording: Path | Mapping[str, Any], target: Path) -> Host:
    """Write the tree below ``target``, in place of an earlier one there, and return the host that reads it.

    ``recording`` is a file, or what would stand in one.
    """
    found = contents(recording)
    for tree in TREES:
        shutil.rmtree(target / tree, ignore_errors=True)
    target.mkdir(parents=True, exist_ok=True)
    for path, content in found.items():
        write(f"{target}/{path}", content)
    return host(target)


def host(root: Path) -> Host:
    """The host that reads a tree which is there already."""
    return Host(sysfs=root / "sys", devfs=root / "dev", procfs=root / "proc")


def load(recording: Path) -> dict[str, Any]:
    """What stands in the file; raises HostUnreadable for one that cannot be had, or is no recorded host."""
    try:
        data = yaml.load(recording.read_text(encoding="utf-8"), LOADER) or {}  # noqa: S506 - one of the safe ones
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise errors.HostUnreadable(f"The recorded host {recording} cannot be read: {exc}.") from exc
    if not isinstance(data, dict):
        raise errors.HostUnreadable(f"The recorded host {recording} is not understood: it is no mapping.")
    return data


def contents(recording: Path | Mapping[str, Any]) -> Contents:
    """All that the host's tree holds; raises HostUnreadable as `load`, and for what is not understood."""
    data = load(recording) if isinstance(recording, Path) else recording
    try:
        tree = _Tree()
        tree.add_functions(data.get("pci") or {})
        for path, content in (data.get("files") or {}).items():
            tree.put(str(path), content)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as exc:
        raise errors.HostUnreadable(f"The recorded host {recording} is not understood: {exc!r}.") from exc
    return tree.contents


def put(path: Path, content: Any) -> None:
    """Write what stands in a recording under the name of ``path``, whose directory is there."""
    tree = _Tree()
    tree.put(path.name, content)
    for name, inner in tree.contents.items():
        write(f"{path.parent}/{name}", inner)


def write(place: str, content: Content) -> None:
    """One file, link or directory; its own directory is there."""
    if content is None:
        if not os.path.isdir(place):  # noqa: PTH112 - paths as text: a kit writes hundreds of thousands
            os.mkdir(place)  # noqa: PTH102
    elif isinstance(content, str):
        os.symlink(content, place)  # noqa: PTH211
    else:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)


class _Tree:
    """``contents`` as it grows."""

    def __init__(self) -> None:
        self.contents: Contents = {}

    def add_functions(self, functions: Mapping[str, Any]) -> None:
        self._directory(DEVICES)
        vfs: dict[str, list[str]] = {}
        for address, entry in functions.items():
            if isinstance(entry, Mapping) and "physfn" in entry:
                vfs.setdefault(entry["physfn"], []).append(address)
        for address, entry in functions.items():
            self._link(f"{DEVICES}/{address}", _place(address))
            if entry != "vanished":
                self._function(address, dict(entry), vfs.get(address, []))

    def _function(self, address: str, entry: dict[str, Any], vfs: list[str]) -> None:
        place = _place(address)
        self._directory(place)
        for number, vf in enumerate(vfs):
            self._link(f"{place}/virtfn{number}", _place(vf))
        if vfs or "sriov_totalvfs" in entry:
            entry.setdefault("sriov_numvfs", len(vfs))
        entry.setdefault("driver_override", "(null)")
        if entry.get("reset_method"):
            entry.setdefault("reset", "")
        if "physfn" in entry:
            self._link(f"{place}/physfn", _place(entry["physfn"]))
        if entry.get("driver"):
            self._link(f"{place}/driver", f"sys/bus/pci/drivers/{entry['driver']}")
        if entry.get("iommu_group") is not None:
            group = f"sys/kernel/iommu_groups/{entry['iommu_group']}"
            self._link(f"{place}/iommu_group", group)
            self._link(f"{group}/devices/{address}", place)
        for kind, count in entry.get("aer", {}).items():
            self.put(f"{place}/aer_dev_{kind}", f"Undefined 0\n{AER_TOTALS[kind]} {count}")
        for name, content in entry.items():
            if name not in LINKED:
                self.put(f"{place}/{name}", content, width=HEX_WIDTH.get(name))

    def put(self, path: str, content: Any, width: int | None = None) -> None:
        if not isinstance(content, Mapping):
            text = f"0x{content:0{width}x}" if width and isinstance(content, int) else str(content)
            self._add(path, f"{text}\n".encode())
        elif len(content) == 1 and SPECIAL & set(content):
            self._add(path, _special(*next(iter(content.items()))))
        else:
            place = self._directory(path)
            for name, inner in content.items():
                self.put(f"{place}/{name}", inner)

    def _link(self, path: str, destination: str) -> None:
        """Relative, as the kernel's links are, so that the tree can be moved."""
        self._add(path, _relative(destination, posixpath.dirname(path)))

    def _add(self, path: str, content: Content) -> None:
        directory, _, name = path.rpartition("/")
        place = f"{self._directory(directory)}/{name}" if directory else name
        if isinstance(self.contents.get(place), str) and isinstance(content, bytes):
            raise ValueError(f"{path} is a link already")  # noqa: TRY004 - what is wrong is the recording
        self.contents[place] = content

    def _directory(self, path: str) -> str:
        """Make it, with those around it, and return where it is: there may be links on the way."""
        if self.contents.get(path, b"") is None:
            return path
        above, _, name = path.rpartition("/")
        place = f"{self._directory(above)}/{name}" if above else name
        if place not in self.contents:
            self.contents[place] = None
        there = self.contents[place]
        if isinstance(there, str):
            return self._directory(posixpath.normpath(posixpath.join(posixpath.dirname(place), there)))
        if there is not None:
            raise ValueError(f"{path} is a file already")
        return place


def _place(address: str) -> str:
    return f"sys/devices/pci{address.rpartition(':')[0]}/{address}"


def _special(kind: str, value: str) -> Content:
    if kind == "link":
        return value
    if kind == "raw":
        return value.encode()
    if kind == "hex":
        return bytes.fromhex(value)
    if value == "EIO":
        return FAILS_WITH_EIO
    raise ValueError(f"no way to make reading fail with {value}")


def _relative(destination: str, directory: str) -> str:
    """`posixpath.relpath` of two plain paths below the same root."""
    there, here = destination.split("/"), directory.split("/")
    same = next((number for number, pair in enumerate(zip(there, here, strict=False)) if pair[0] != pair[1]), None)
    same = min(len(there), len(here)) if same is None else same
    return "/".join([".."] * (len(here) - same) + there[same:])
