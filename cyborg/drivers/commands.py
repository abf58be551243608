# SPDX-License-Identifier: Apache-2.0
"""What is asked of hardware by other means than a kernel file: a command, to what one PCI function is.

    host.command(commands.NVME_SANITIZE, "0000:5e:00.0", 2)

As with `actions`, whoever asks names no path: the device node follows from the address, and what does not match this
table is refused. So it can be done by a process with more rights than the one that asks (`privileged`). Every answer is
bytes, as the hardware gives them; to make sense of them takes no rights. A host that is no machine has another object
in place of `Machine` (`Commands`), which a test can make fail in any way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cyborg.domain import errors
from cyborg.drivers import dfl_ioctl, nvme_ioctl
from cyborg.drivers.pci_function import ADDRESS
from cyborg.drivers.sysfs import Node

NVME_CONTROLLER = "nvme_controller"
NVME_ACTIVE = "nvme_active_namespaces"
NVME_ALLOCATED = "nvme_allocated_namespaces"
NVME_NAMESPACE = "nvme_namespace"
NVME_SMART = "nvme_smart"
NVME_SAMPLE = "nvme_sample"
NVME_SANITIZE = "nvme_sanitize"
NVME_SANITIZE_LOG = "nvme_sanitize_log"
NVME_FORMAT = "nvme_format"
DFL_PROGRAM = "dfl_program"
DFL_RELEASE = "dfl_release_port"
DFL_ASSIGN = "dfl_assign_port"

#: (the function's directory in sysfs, the root of device nodes, a number, bytes) -> the answer
Do = Callable[[Node, Path, int, bytes], bytes]


class Commands(Protocol):
    def run(self, command: str, address: str, value: int = 0, data: bytes = b"") -> bytes:
        """The answer of the hardware; an OSError of the kernel reaches the caller."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """``values`` are the numbers that may be given. ``changes`` something, or only asks."""

    do: Do
    values: range = range(1)
    takes_data: bool = False
    changes: bool = False


NAMESPACES = range(1, 0xFFFFFFFF)
PORTS = range(16)
COMMANDS = {
    NVME_CONTROLLER: Command(do=nvme_ioctl.controller),
    NVME_ACTIVE: Command(do=nvme_ioctl.active_namespaces),
    NVME_ALLOCATED: Command(do=nvme_ioctl.allocated_namespaces),
    NVME_NAMESPACE: Command(do=nvme_ioctl.namespace, values=NAMESPACES),
    NVME_SMART: Command(do=nvme_ioctl.smart_log),
    NVME_SAMPLE: Command(do=nvme_ioctl.sample),
    NVME_SANITIZE: Command(do=nvme_ioctl.sanitize, values=range(2, 5, 2), changes=True),
    NVME_SANITIZE_LOG: Command(do=nvme_ioctl.sanitize_log),
    NVME_FORMAT: Command(do=nvme_ioctl.erase_by_format, values=NAMESPACES, changes=True),
    DFL_PROGRAM: Command(do=dfl_ioctl.program, values=PORTS, takes_data=True, changes=True),
    DFL_RELEASE: Command(do=dfl_ioctl.release_port, values=PORTS, changes=True),
    DFL_ASSIGN: Command(do=dfl_ioctl.assign_port, values=PORTS, changes=True),
}


def find(command: str, address: str, value: int, data: bytes) -> Command:
    """Raises InvalidRequest for what is not in the table."""
    known = COMMANDS.get(command)
    if (
        known is None
        or not ADDRESS.fullmatch(address)
        or value not in known.values
        or known.takes_data is not bool(data)
    ):
        raise errors.InvalidRequest(
            f"{command!r} to {address!r} with {value!r} and {len(data)} bytes is nothing that hardware of this host "
            f"may be asked. Commands are: {', '.join(sorted(COMMANDS))}."
        )
    return known


class Machine:
    """The hardware of this machine, by the rights of this process."""

    def __init__(self, sysfs: Path, devfs: Path) -> None:
        self._sysfs = sysfs
        self._devfs = devfs

    def run(self, command: str, address: str, value: int = 0, data: bytes = b"") -> bytes:
        known = find(command, address, value, data)
        return known.do(Node(root=self._sysfs, path=f"bus/pci/devices/{address}"), self._devfs, value, data)
