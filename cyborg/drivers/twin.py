# SPDX-License-Identifier: Apache-2.0
"""A host that does not exist and behaves as one: what host work writes has the effects that a kernel would give it.

    twin = Twin(Path("host.yaml"), tmp_path)
    twin.host.act("vf_count", "0000:3b:00.0", "4")      # makes four VFs, with links, groups and directories
    twin.refuse("0000:3b:00.1", "reset", errno.ENOTTY)  # from now on
    twin.die_at(2)                                      # the second write from now on ends the process, so to say

``writes`` are all that were tried, as (file below the root, text). ``dirty`` are the functions and mediated devices
that a guest has left something on (`soil`), until something that cleans happens to them.
"""

import errno
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cyborg.drivers import recorded
from cyborg.drivers.host import Host
from cyborg.drivers.twin_mdev import Mdevs
from cyborg.drivers.twin_pci import Functions, fail, read


class Died(BaseException):
    """The process ended here. Nothing that handles errors may see it."""


class Twin:
    """``recording`` is a recorded host, or what would stand in one."""

    def __init__(self, recording: Path | Mapping[str, Any], directory: Path) -> None:
        plain = recorded.materialise(recording, directory)
        self.root = directory
        self.sysfs = directory / "sys"
        self.writes: list[tuple[str, str]] = []
        self.dirty: set[str] = set()
        self._functions = Functions(self.sysfs, self.dirty)
        self._mdevs = Mdevs(self.sysfs, self.dirty)
        self._refusals: dict[tuple[str, str], int] = {}
        self._deaths: list[tuple[int, bool]] = []
        self.host = Host(
            sysfs=plain.sys().full, devfs=plain.dev().full, procfs=plain.proc().full, write_hook=self._write
        )

    def refuse(self, subject: str, file: str, code: int) -> None:
        """Every write to ``file`` of the function or mediated device fails with ``code``; 0 ends that."""
        self._refusals[subject, file] = code

    def refuse_file(self, file: str, code: int) -> None:
        """As `refuse`, for a file as it stands in ``writes``."""
        self._refusals[file, ""] = code

    def die_at(self, number: int, *, after: bool = False) -> None:
        """Die before, or right after, the ``number``-th write from now on, counted from 1."""
        self._deaths = [(len(self.writes) + number, after)]

    def live(self) -> None:
        self._deaths = []

    def soil(self, subject: str) -> None:
        """A guest was there."""
        self.dirty.add(subject)

    def make_mdev(self, address: str, kind: str, uuid: str) -> None:
        """As a hypervisor does: by a write to ``create``."""
        place = self.sysfs / "bus/pci/devices" / address / "mdev_supported_types" / kind / "create"
        self._write(place, uuid)

    def state(self) -> dict[str, str]:
        """All files and links of sysfs, to compare."""
        found = {}
        for path in sorted(self.sysfs.rglob("*")):
            name = path.relative_to(self.sysfs).as_posix()
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            elif path.is_file():
                found[name] = path.read_text(encoding="utf-8", errors="replace")
        return found

    def copy(self, directory: Path) -> "Twin":
        """Another host in the same state, with an empty list of writes and without refusals."""
        other = Twin({}, directory)
        shutil.rmtree(other.sysfs)
        shutil.copytree(self.sysfs, other.sysfs, symlinks=True)
        other.dirty |= self.dirty
        other._functions.lists |= self._functions.lists
        other._mdevs.rooms |= self._mdevs.rooms
        return other

    def _write(self, path: Path, text: str) -> None:
        self.writes.append((path.relative_to(self.root).as_posix(), text))
        death = next((after for number, after in self._deaths if number == len(self.writes)), None)
        if death is False:
            raise Died
        self._do(path, text.strip())
        if death:
            raise Died

    def _do(self, path: Path, text: str) -> None:
        subject, file = _subject(path, text), path.name
        place = path.relative_to(self.root).as_posix()
        code = self._refusals.get((subject, file), 0) or self._refusals.get((place, ""), 0)
        if code:
            fail(code)
        effects: dict[str, Callable[[], None]] = {
            "sriov_numvfs": lambda: self._functions.set_vf_count(path.parent, text),
            "reset": lambda: self._functions.reset(path.parent, text),
            "unbind": lambda: self._functions.unbind(path, text),
            "drivers_probe": lambda: self._functions.probe(text),
            "driver_override": lambda: self._functions.override(path, text),
            "current_vgpu_type": lambda: self._functions.set_vgpu_type(path, text),
            "create": lambda: self._mdevs.create(path, text),
            "remove": lambda: self._mdevs.remove(subject, text),
        }
        if file in effects:
            effects[file]()
        elif not path.exists():
            fail(errno.ENOENT)
        elif read(path) is None:
            fail(errno.EACCES)
        else:
            path.write_text(f"{text}\n", encoding="utf-8")


def _subject(path: Path, text: str) -> str:
    """The function or mediated device that the write is about."""
    if path.name == "drivers_probe":
        return text
    parts = path.parts
    at = max(index for index, part in enumerate(parts) if part == "devices")
    return parts[at + 1]
