# SPDX-License-Identifier: Apache-2.0
"""The ports of Intel FPGAs on a `twin`: they leave a card by command, are on its VFs, and come back as they are.

A card has as many as its engine's ``ports_num`` says; one without that file has only those that it shows.
"""

import errno
import shutil
from pathlib import Path

from cyborg.drivers.twin_kernel import fail, read

DRIVER = "dfl-pci"
REGIONS, PORT, ENGINE = "fpga_region/region*", "dfl-port.*", "dfl-fme.*"


class Ports:
    def __init__(self, sysfs: Path) -> None:
        self._functions = sysfs / "bus/pci/devices"
        self._aside = sysfs.parent / "aside"

    def release(self, address: str, number: int) -> None:
        """A port that is not there, or has left, is not one that the kernel finds free to go."""
        _region(self._functions / address)
        port = _numbered(_shown(self._functions / address), number)
        if port is None:
            fail(errno.EBUSY if self._left(address, number) else errno.EINVAL)
        self._kept(address).mkdir(parents=True, exist_ok=True)
        port.rename(self._kept(address) / port.name)

    def assign(self, address: str, number: int) -> None:
        region = _region(self._functions / address)
        if any((self._functions / address).glob("virtfn*")):
            fail(errno.EBUSY)
        port = self._left(address, number)
        if port is None:
            fail(errno.EINVAL)
        port.rename(region / port.name)

    def check(self, address: str, count: int) -> None:
        """One port for one VF, or the kernel makes none."""
        if count and _has_ports(self._functions / address) and count != len(list(self._kept(address).glob(PORT))):
            fail(errno.EINVAL)

    def to_vfs(self, address: str) -> None:
        """Each port to one VF, which shows it once it is bound."""
        ports = sorted(self._kept(address).glob(PORT), key=_number)
        for number, port in enumerate(ports):
            vf = (self._functions / address / f"virtfn{number}").resolve().name
            place = self._shown_by_driver(vf) / f"region{number + 100}"
            place.mkdir(parents=True)
            port.rename(place / port.name)

    def from_vfs(self, address: str) -> None:
        for link in (self._functions / address).glob("virtfn*"):
            vf = link.resolve()
            for port in [*_shown(vf), *self._shown_by_driver(vf.name).glob(f"region*/{PORT}")]:
                self._kept(address).mkdir(parents=True, exist_ok=True)
                port.rename(self._kept(address) / port.name)
            shutil.rmtree(self._aside / vf.name, ignore_errors=True)

    def _left(self, address: str, number: int) -> Path | None:
        return _numbered(list(self._kept(address).glob(PORT)), number)

    def _kept(self, address: str) -> Path:
        return self._aside / address / "ports"

    def _shown_by_driver(self, address: str) -> Path:
        return self._aside / address / DRIVER / "fpga_region"


def _region(card: Path) -> Path:
    """The one with the engine."""
    engine = next(card.glob(f"{REGIONS}/{ENGINE}"), None)
    if engine is None:
        fail(errno.ENODEV)
    return engine.parent


def _has_ports(card: Path) -> bool:
    return any(card.glob(f"{REGIONS}/{ENGINE}/ports_num"))


def _shown(function: Path) -> list[Path]:
    return list(function.glob(f"{REGIONS}/{PORT}"))


def _number(port: Path) -> int:
    return int(read(port / "id") or "0", 16)


def _numbered(ports: list[Path], number: int) -> Path | None:
    return next((port for port in ports if _number(port) == number), None)
