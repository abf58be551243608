# SPDX-License-Identifier: Apache-2.0
"""What a kernel does with PCI functions when their files are written to; the part of `twin` for them."""

import errno
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyborg.drivers import recorded
from cyborg.drivers.twin_fpga import Ports
from cyborg.drivers.twin_kernel import fail, read

#: Drivers that enable all VFs, whatever number they are asked for.
ALL_VFS = frozenset({"4xxx", "420xx", "6xxx", "c6xx", "c3xxx", "dh895xcc", "d15xx"})
COPIED = ("vendor", "class", "numa_node")
NO_TYPE = "0"
DISK = "0x0108"
#: Cards of these vendors and this class are FPGAs.
FPGA_VENDORS, ACCELERATOR = frozenset({"0x8086", "0x10ee", "0x13fe", "0x1bd4"}), "0x1200"
#: What an Alveo card shows of what is loaded.
LOADED = "xclbinuuid"
#: What takes a function by itself.
MATCHING = {DISK: "nvme"}
#: What drivers show of a function, and nobody else.
SHOWN = {"nvme": ("nvme",), "dfl-pci": ("fpga_region",), "xocl": (LOADED, "ready", "dev_offline", "user_pf")}
TYPES = "creatable_vgpu_types"


class Functions:
    def __init__(self, sysfs: Path, dirty: set[str], shown: Mapping[str, Any]) -> None:
        self._sysfs = sysfs
        self._dirty = dirty
        self._shown = shown
        self._aside = sysfs.parent / "aside"
        self._ports = Ports(sysfs)
        #: Functions of boards that were reset.
        self._emptied: set[str] = set()
        #: Functions that show other files for some seconds after a reset.
        self.away: dict[str, tuple[float, Mapping[str, str]]] = {}
        #: Management functions of boards that keep what is loaded.
        self.lying_boards: set[str] = set()
        #: The types that each VF offered when its card had none in use.
        self.lists: dict[str, str] = {}

    def set_vf_count(self, place: Path, text: str) -> None:
        total, now = read(place / "sriov_totalvfs"), read(place / "sriov_numvfs")
        if total is None or now is None or self._bound(place) is None:
            fail(errno.ENOENT)
        if not text.isdecimal():
            fail(errno.EINVAL)
        wanted = int(text)
        if wanted > int(total):
            fail(errno.ERANGE)
        if wanted and int(now):
            fail(errno.EBUSY)
        if wanted and self._bound(place) in ALL_VFS:
            wanted = int(total)
        self._ports.check(place.name, wanted)
        self._drop_vfs(place) if wanted == 0 else self._make_vfs(place, wanted)
        (place / "sriov_numvfs").write_text(f"{wanted}\n", encoding="utf-8")

    def _drop_vfs(self, place: Path) -> None:
        links = list(place.glob("virtfn*"))
        if any(self._bound(link) == "vfio-pci" for link in links):
            fail(errno.EBUSY)
        self._ports.from_vfs(place.name)
        for link in links:
            directory = link.resolve()
            group = directory / "iommu_group"
            if group.is_symlink():
                shutil.rmtree(group.resolve())
            shutil.rmtree(directory)
            (self._sysfs / "bus/pci/devices" / directory.name).unlink()
            link.unlink()
            self._dirty.discard(directory.name)

    def _make_vfs(self, place: Path, count: int) -> None:
        place = place.resolve()
        offset, stride = (int(read(place / f"sriov_{name}") or 1) for name in ("offset", "stride"))
        groups = self._sysfs / "kernel/iommu_groups"
        for number in range(count):
            address = _following(place.name, offset + stride * number)
            directory = place.parent.parent / f"pci{address.rpartition(':')[0]}" / address
            directory.mkdir(parents=True)
            for name in COPIED:
                if read(place / name) is not None:
                    shutil.copyfile(place / name, directory / name)
            device = read(place / "sriov_vf_device")
            (directory / "device").write_text(f"0x{device}\n" if device else (place / "device").read_text(), "utf-8")
            for name, content in (("reset", ""), ("reset_method", "flr"), ("driver_override", "(null)")):
                (directory / name).write_text(f"{content}\n", encoding="utf-8")
            _link(directory / "physfn", place)
            _link(place / f"virtfn{number}", directory)
            _link(self._sysfs / "bus/pci/devices" / address, directory)
            group = groups / str(1 + max((int(one.name) for one in groups.glob("*")), default=0))
            _link(directory / "iommu_group", group)
            _link(group / "devices" / address, directory)
            if read(place / "sriov_drivers_autoprobe") != "0":
                _link(directory / "driver", self._sysfs / "bus/pci/drivers" / f"{self._bound(place)}vf")
        self._ports.to_vfs(place.name)

    def reset(self, place: Path, text: str) -> None:
        """Nothing can be seen of it. A reset of a bus reaches every function there."""
        methods = (read(place / "reset_method") or "").split()
        if text != "1":
            fail(errno.EINVAL)
        if not (place / "reset").exists() or not methods:
            fail(errno.ENOTTY)
        place = place.resolve()
        reached = list(place.parent.iterdir()) if methods[0] == "bus" else [place]
        self._dirty -= {one.name for one in reached if not _lasts(one)}
        for one in reached:
            self._go_away(one)

    def _go_away(self, place: Path) -> None:
        seconds, files = self.away.get(place.name, (0.0, {}))
        usual = {name: (place / name).read_text(encoding="utf-8") for name in files}

        def write(texts: Mapping[str, str]) -> None:
            for name, text in texts.items():
                (place / name).write_text(text, encoding="utf-8")

        write(files)
        if files:
            threading.Timer(seconds, write, [usual]).start()

    def reset_board(self, path: Path, text: str) -> None:
        """Of an Alveo card, through its management function: all functions of the slot, and what is loaded goes."""
        if not path.exists():
            fail(errno.ENOENT)
        if text != "1":
            fail(errno.EINVAL)
        place = path.parent.resolve()
        if place.name in self.lying_boards:
            return
        for function in place.parent.glob(f"{place.name.rpartition('.')[0]}.*"):
            self._dirty.discard(function.name)
            self._emptied.add(function.name)
            for loaded in (function / LOADED, self._aside / function.name / "xocl" / LOADED):
                if loaded.exists():
                    loaded.write_text("\n", encoding="utf-8")

    def unbind(self, path: Path, text: str) -> None:
        place = path.parent.parent
        if place.name != text:
            fail(errno.ENODEV)
        self._take_aside(place, self._bound(place))
        path.parent.unlink()

    def probe(self, address: str) -> None:
        """The driver that is asked for, else the one that matches by itself, as far as that is known here."""
        place = self._sysfs / "bus/pci/devices" / address
        if not place.exists():
            fail(errno.EINVAL)
        name = read(place / "driver_override")
        if name in (None, "", "(null)"):
            kept_off = read(place / "physfn/sriov_drivers_autoprobe") == "0"
            name = None if kept_off else MATCHING.get((read(place / "class") or "")[:6])
        if name and not (place / "driver").is_symlink():
            self.bind(address, name)

    def bind(self, address: str, driver: str) -> None:
        place = (self._sysfs / "bus/pci/devices" / address).resolve()
        if (place / "driver").is_symlink():
            self._take_aside(place, self._bound(place))
            (place / "driver").unlink()
        _link(place / "driver", self._sysfs / "bus/pci/drivers" / driver)
        kept = self._aside / address / driver
        if kept.exists():
            for one in kept.iterdir():
                one.rename(place / one.name)
        else:
            for name, content in ((self._shown.get(address) or {}).get(driver) or {}).items():
                recorded.put(place / name, "" if name == LOADED and address in self._emptied else content)

    def _take_aside(self, place: Path, driver: str | None) -> None:
        kept = self._aside / place.name / (driver or "")
        for name in SHOWN.get(driver or "", ()):
            if (place / name).exists():
                kept.mkdir(parents=True, exist_ok=True)
                (place / name).rename(kept / name)

    @staticmethod
    def override(path: Path, text: str) -> None:
        if not path.parent.exists():
            fail(errno.ENOENT)
        path.write_text(f"{text or '(null)'}\n", encoding="utf-8")

    def set_vgpu_type(self, path: Path, text: str) -> None:
        """A VF takes a type from its own list, and gives it back before it takes another."""
        now, vf = read(path), path.parent.parent
        if now is None:
            fail(errno.ENOENT)
        offered = [line.split(":")[0].strip() for line in (read(path.parent / TYPES) or "").splitlines()]
        if text != NO_TYPE and (now not in (NO_TYPE, text) or (now == NO_TYPE and text not in offered)):
            fail(errno.EINVAL)
        path.write_text(f"{text}\n", encoding="utf-8")
        if text == NO_TYPE:
            self._dirty.discard(vf.name)
        self._shrink_lists(vf.resolve() / "physfn")

    def _shrink_lists(self, pf: Path) -> None:
        """One type at a time on a card: a VF that has one offers nothing, the others that type only."""
        places = [vf.resolve() / "nvidia" for vf in sorted(pf.glob("virtfn*"))]
        used = {read(place / "current_vgpu_type") for place in places} - {NO_TYPE, None}
        for place in places:
            whole = self.lists.setdefault(place.parent.name, (place / TYPES).read_text(encoding="utf-8"))
            taken = read(place / "current_vgpu_type") != NO_TYPE
            kept = [line for line in whole.splitlines() if not used or _kept(line, used, taken=taken)]
            (place / TYPES).write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    @staticmethod
    def _bound(place: Path) -> str | None:
        link = place.resolve() / "driver"
        return link.readlink().name if link.is_symlink() else None


def _lasts(place: Path) -> bool:
    """Whether what a guest left there is not gone with a reset."""
    kind = (read(place / "class") or "")[:6]
    return kind == DISK or (kind == ACCELERATOR and read(place / "vendor") in FPGA_VENDORS)


def _kept(line: str, used: set[str | None], *, taken: bool) -> bool:
    number = line.partition(":")[0].strip()
    return not number.isdecimal() or (number in used and not taken)


def _following(address: str, distance: int) -> str:
    """Routing ids count on through functions, devices and buses."""
    domain, bus, rest = address.split(":")
    device, function = rest.split(".")
    number = (int(bus, 16) << 8) + (int(device, 16) << 3) + int(function) + distance
    return f"{domain}:{number >> 8:02x}:{number >> 3 & 0x1F:02x}.{number & 7}"


def _link(path: Path, destination: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    destination.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(destination, path.parent))
