# SPDX-License-Identifier: Apache-2.0
"""A host that does not exist and behaves as one: what host work writes has the effects that a kernel would give it.

    twin = Twin(Path("host.yaml"), tmp_path)
    twin.host.act("vf_count", "0000:3b:00.0", "4")      # makes four VFs, with links, groups and directories
    twin.refuse("0000:3b:00.1", "reset", errno.ENOTTY)  # from now on
    twin.die_at(2)                                      # the second write from now on ends the process, so to say

``writes`` are all that were tried, as (file below the root, text), and with them the commands that change something,
as (``command/nvme_sanitize/0000:5e:00.0``, number). ``dirty`` are the functions and mediated devices that a guest has
left something on (`soil`), until something that cleans happens to them.

A recording for a twin may say more than what a host shows: ``disks`` by address (`twin_disk`), and ``shown_by``, what a
driver shows of a function once it is bound:

    shown_by:
      "0000:60:00.0": {nvme: {nvme: {nvme7: {state: live}}}}
"""

import copy
import errno
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cyborg.drivers import commands, recorded, twin_qat
from cyborg.drivers.host import Host
from cyborg.drivers.twin_disk import Disk
from cyborg.drivers.twin_hardware import Hardware
from cyborg.drivers.twin_kernel import fail, read
from cyborg.drivers.twin_mdev import Mdevs
from cyborg.drivers.twin_pci import Functions


class Died(BaseException):
    """The process ended here. Nothing that handles errors may see it."""


class Twin:
    """``recording`` is a recorded host, or what would stand in one; ``written`` says that its files are there."""

    def __init__(self, recording: Path | Mapping[str, Any], directory: Path, *, written: bool = False) -> None:
        data = recorded.load(recording) if isinstance(recording, Path) else recording
        plain = recorded.host(directory) if written else recorded.materialise(data, directory)
        self.root = directory
        self.sysfs = directory / "sys"
        self.writes: list[tuple[str, str]] = []
        self.dirty: set[str] = set()
        self._functions = Functions(self.sysfs, self.dirty, data.get("shown_by") or {})
        self._hardware = Hardware(self.sysfs, data, self.dirty)
        self._mdevs = Mdevs(self.sysfs, self.dirty)
        self._refusals: dict[tuple[str, str], int] = {}
        self._deaths: list[tuple[int, bool]] = []
        self.host = Host(
            sysfs=plain.sys().full,
            devfs=plain.dev().full,
            procfs=plain.proc().full,
            write_hook=self._write,
            commands=self,
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
        self._hardware.soil(subject)

    def away(self, address: str, seconds: float, **files: str) -> None:
        """From its next reset on, the function shows other ``files`` for some seconds."""
        self._functions.away[address] = (seconds, files)

    @property
    def lying_boards(self) -> set[str]:
        """Management functions of Alveo cards whose reset leaves what is loaded."""
        return self._functions.lying_boards

    @property
    def disks(self) -> dict[str, Disk]:
        """By address, to be made faulty."""
        return self._hardware.disks

    def bind(self, address: str, driver: str) -> None:
        """As a hypervisor does that keeps a function for guests; no write of ours."""
        self._functions.bind(address, driver)

    def run(self, command: str, address: str, value: int = 0, data: bytes = b"") -> bytes:
        """As `commands.Commands`."""
        if not commands.find(command, address, value, data).changes:
            return self._hardware.run(command, address, value, data)
        answers: list[bytes] = []
        place = f"command/{command}/{address}"
        self._change(
            place,
            str(value),
            lambda: answers.append(self._hardware.run(command, address, value, data)),
            self._refusals.get((place, ""), 0),
        )
        return answers[0]

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
        other._hardware.disks |= copy.deepcopy(self._hardware.disks)
        other._functions.lists |= self._functions.lists
        other._mdevs.rooms |= self._mdevs.rooms
        return other

    def _write(self, path: Path, text: str) -> None:
        place, subject = path.relative_to(self.root).as_posix(), _subject(path, text.strip())
        code = self._refusals.get((subject, path.name), 0) or self._refusals.get((place, ""), 0)
        self._change(place, text, lambda: self._do(path, subject, text.strip()), code)

    def _change(self, place: str, text: str, effect: Callable[[], None], code: int) -> None:
        self.writes.append((place, text))
        death = next((after for number, after in self._deaths if number == len(self.writes)), None)
        if death is False:
            raise Died
        if code:
            fail(code)
        effect()
        if death:
            raise Died

    def _do(self, path: Path, subject: str, text: str) -> None:
        file = path.name
        effects: dict[str, Callable[[], None]] = {
            "sriov_numvfs": lambda: self._functions.set_vf_count(path.parent, text),
            "reset": lambda: self._functions.reset(path.parent, text),
            "unbind": lambda: self._functions.unbind(path, text),
            "drivers_probe": lambda: self._functions.probe(text),
            "driver_override": lambda: self._functions.override(path, text),
            "current_vgpu_type": lambda: self._functions.set_vgpu_type(path, text),
            "mgmt_reset": lambda: self._functions.reset_board(path, text),
            "state": lambda: twin_qat.set_state(path, text),
            "cfg_services": lambda: twin_qat.set_services(path, text),
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
