# SPDX-License-Identifier: Apache-2.0
"""What a kernel does with mediated devices when their files are written to; the part of `twin` for them."""

import errno
import os
import shutil
from pathlib import Path

from cyborg.drivers.actions import UUID
from cyborg.drivers.twin_kernel import fail, read

ROOM = "available_instances"


class Mdevs:
    def __init__(self, sysfs: Path, dirty: set[str]) -> None:
        self._all = sysfs / "bus/mdev/devices"
        self._dirty = dirty
        #: What there was room for before another type came into use, by function and type.
        self.rooms: dict[str, str] = {}

    def create(self, path: Path, uuid: str) -> None:
        """A card has one type at a time: the others have no room until it is empty again."""
        kind = path.parent.resolve()
        if not UUID.fullmatch(uuid):
            fail(errno.EINVAL)
        if (self._all / uuid).is_symlink():
            fail(errno.EEXIST)
        room = int(read(kind / ROOM) or 0)
        if room < 1:
            fail(errno.ENOSPC)
        place = kind.parent.parent / uuid
        place.mkdir()
        (place / "remove").write_text("", encoding="utf-8")
        for link in (kind / "devices" / uuid, self._all / uuid):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(place, link.parent))
        (kind / ROOM).write_text(f"{room - 1}\n", encoding="utf-8")
        for other in kind.parent.iterdir():
            if other != kind:
                self.rooms.setdefault(_name(other), read(other / ROOM) or "0")
                (other / ROOM).write_text("0\n", encoding="utf-8")

    def remove(self, uuid: str, text: str) -> None:
        link = self._all / uuid
        if not link.exists():
            fail(errno.ENOENT)
        if text != "1":
            fail(errno.EINVAL)
        place = link.resolve()
        for kind in (place.parent / "mdev_supported_types").iterdir():
            if (kind / "devices" / uuid).is_symlink():
                (kind / "devices" / uuid).unlink()
                (kind / ROOM).write_text(f"{int(read(kind / ROOM) or 0) + 1}\n", encoding="utf-8")
        link.unlink()
        shutil.rmtree(place)
        self._dirty.discard(uuid)
        if not any(place.parent.glob("mdev_supported_types/*/devices/*")):
            for other in (place.parent / "mdev_supported_types").iterdir():
                if _name(other) in self.rooms:
                    (other / ROOM).write_text(f"{self.rooms.pop(_name(other))}\n", encoding="utf-8")


def _name(kind: Path) -> str:
    return f"{kind.parent.parent.name} {kind.name}"
