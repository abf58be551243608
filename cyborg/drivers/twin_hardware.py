# SPDX-License-Identifier: Apache-2.0
"""The hardware of a `twin` behind its commands: disks, and FPGAs that take images and give their ports away.

A bitstream for an FPGA of a twin is the id of its function, 32 hex digits.
"""

import errno
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cyborg.drivers import commands
from cyborg.drivers.twin_disk import Disk, fail
from cyborg.drivers.twin_fpga import Ports
from cyborg.drivers.twin_kernel import read

FUNCTION = re.compile(rb"[0-9a-f]{32}")


class Hardware:
    """``dirty`` is the twin's."""

    def __init__(self, sysfs: Path, recording: Mapping[str, Any], dirty: set[str]) -> None:
        self._functions = sysfs / "bus/pci/devices"
        self._dirty = dirty
        self._ports = Ports(sysfs)
        self.disks = {address: Disk(facts or {}) for address, facts in (recording.get("disks") or {}).items()}

    def soil(self, address: str) -> None:
        if address in self.disks:
            self.disks[address].soil()

    def run(self, command: str, address: str, value: int, data: bytes) -> bytes:
        commands.find(command, address, value, data)
        if command == commands.DFL_PROGRAM:
            return self._program(self._functions / address, value, data)
        if command in (commands.DFL_RELEASE, commands.DFL_ASSIGN):
            (self._ports.release if command == commands.DFL_RELEASE else self._ports.assign)(address, value)
            return b""
        return self._ask_disk(command, address, value)

    def _ask_disk(self, command: str, address: str, value: int) -> bytes:
        if not next((self._functions / address).glob("nvme/nvme*"), None):
            fail(errno.ENODEV, f"{address} has no NVMe controller")
        disk = self.disks.get(address) or Disk({"sanitize": [], "format": False})
        answers: Mapping[str, Callable[[int], bytes]] = {
            commands.NVME_CONTROLLER: disk.controller,
            commands.NVME_ACTIVE: disk.active,
            commands.NVME_ALLOCATED: disk.allocated,
            commands.NVME_NAMESPACE: disk.namespace,
            commands.NVME_SMART: disk.smart_log,
            commands.NVME_SAMPLE: disk.sample,
            commands.NVME_SANITIZE: disk.sanitize,
            commands.NVME_SANITIZE_LOG: disk.sanitize_log,
            commands.NVME_FORMAT: disk.format,
        }
        answer = answers[command](value)
        if not disk.dirty:
            self._dirty.discard(address)
        return answer

    def _program(self, card: Path, number: int, data: bytes) -> bytes:
        """The port may be the card's own or a VF's; the engine that programs it is the card's."""
        if not next(card.glob("fpga_region/region*/dfl-fme.*"), None):
            fail(errno.ENODEV, "no engine")
        owner, port = next(
            (found for found in _ports(card) if int(read(found[1] / "id") or "0", 16) == number), (card, None)
        )
        if port is None:
            fail(errno.EINVAL, "no such port")
        elif not FUNCTION.fullmatch(data):
            fail(errno.EIO, "the hardware refuses")
        else:
            (port / "afu_id").write_text(f"{data.decode()}\n", encoding="utf-8")
            self._dirty.discard(owner.resolve().name)
        return b""


def _ports(card: Path) -> Iterator[tuple[Path, Path]]:
    for function in (card, *sorted(card.glob("virtfn*"))):
        for port in sorted(function.glob("fpga_region/region*/dfl-port.*")):
            yield function, port
