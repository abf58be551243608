# SPDX-License-Identifier: Apache-2.0
"""NVMe admin commands by ioctl on the controller of one PCI function; what runs with the right to give them.

The number and the structure are the kernel's ABI, ``include/uapi/linux/nvme_ioctl.h``: ``NVME_IOCTL_ADMIN_CMD`` is
``_IOWR('N', 0x41, struct nvme_admin_cmd)``, 72 bytes. Opcodes and fields are those of the NVM Express base
specification: Identify 06h, Get Log Page 02h, Format NVM 80h, Sanitize 84h.

Before something is erased, each disk of the controller is opened for this process alone (``O_EXCL``). The kernel
refuses that while anything of it is mounted or part of another device, so the last word on whether the host uses the
disk is the kernel's, at that very moment.
"""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

from cyborg.drivers.sysfs import Node

ADMIN_CMD = 0xC0484E41
IDENTIFY, GET_LOG_PAGE, FORMAT, SANITIZE = 0x06, 0x02, 0x80, 0x84
#: What Identify is to tell, CNS.
NAMESPACE, CONTROLLER, ACTIVE, ALLOCATED = 0x00, 0x01, 0x02, 0x10
SMART, SANITIZE_STATUS = 0x02, 0x81
ALL = 0xFFFFFFFF
PAGE, LOG = 4096, 512
#: Of Identify Namespace: which layout it has, and how its data is protected.
FLBAS, DPS = 26, 29
USER_DATA_ERASE = 1
SOON, LATE = 60_000, 600_000

CONTROLLER_NAME = re.compile(r"nvme\d+")
DISK_NAME = re.compile(r"nvme(\d+)(?:c\d+)?n(\d+)")
BLOCK = 4096
#: Where a sample is taken: what most disks have their partition tables and file systems at, and evenly in between.
FIRST_PLACES = (0, BLOCK, 1 << 20, (1 << 20) + 65536)
PLACES = 32
MARK = 32


class PassthruCmd(ctypes.Structure):
    """``struct nvme_passthru_cmd``."""

    _fields_ = (
        ("opcode", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("rsvd1", ctypes.c_uint16),
        ("nsid", ctypes.c_uint32),
        ("cdw2", ctypes.c_uint32),
        ("cdw3", ctypes.c_uint32),
        ("metadata", ctypes.c_uint64),
        ("addr", ctypes.c_uint64),
        ("metadata_len", ctypes.c_uint32),
        ("data_len", ctypes.c_uint32),
        ("cdw10", ctypes.c_uint32),
        ("cdw11", ctypes.c_uint32),
        ("cdw12", ctypes.c_uint32),
        ("cdw13", ctypes.c_uint32),
        ("cdw14", ctypes.c_uint32),
        ("cdw15", ctypes.c_uint32),
        ("timeout_ms", ctypes.c_uint32),
        ("result", ctypes.c_uint32),
    )


def controller(function: Node, devfs: Path, _value: int, _data: bytes) -> bytes:
    return _identify(function, devfs, CONTROLLER)


def active_namespaces(function: Node, devfs: Path, _value: int, _data: bytes) -> bytes:
    """Ids of those that are attached to this controller."""
    return _identify(function, devfs, ACTIVE)


def allocated_namespaces(function: Node, devfs: Path, _value: int, _data: bytes) -> bytes:
    """Ids of all that the disk has; only where namespaces can be managed."""
    return _identify(function, devfs, ALLOCATED)


def namespace(function: Node, devfs: Path, value: int, _data: bytes) -> bytes:
    return _identify(function, devfs, NAMESPACE, value)


def smart_log(function: Node, devfs: Path, _value: int, _data: bytes) -> bytes:
    """Of the controller as a whole."""
    return _log(function, devfs, SMART)


def sanitize_log(function: Node, devfs: Path, _value: int, _data: bytes) -> bytes:
    return _log(function, devfs, SANITIZE_STATUS)


def sanitize(function: Node, devfs: Path, value: int, _data: bytes) -> bytes:
    """Starts it: 2 is a block erase, 4 a crypto erase. It goes on by itself, also over a loss of power."""
    with _alone(function, devfs):
        return _admin(function, devfs, SANITIZE, cdw10=value)


def erase_by_format(function: Node, devfs: Path, value: int, _data: bytes) -> bytes:
    """Format one namespace in the format that it has, with its user data erased; returns when that is done."""
    about = _identify(function, devfs, NAMESPACE, value)
    flbas, protection = about[FLBAS], about[DPS]
    layout = flbas & 0xF | (flbas >> 4 & 1) << 4 | (protection & 7) << 5 | (protection >> 3 & 1) << 8
    layout |= (flbas >> 5 & 3) << 12
    with _alone(function, devfs):
        return _admin(function, devfs, FORMAT, nsid=value, cdw10=layout | USER_DATA_ERASE << 9, timeout=LATE)


def sample(function: Node, devfs: Path, _value: int, _data: bytes) -> bytes:
    """A mark of 32 bytes for each of some blocks of each disk: its digest, or the byte that it is full of.

    No content of the disk leaves this process.
    """
    with _alone(function, devfs) as disks:
        return b"".join(mark(_read(disk, place)) for disk in disks for place in _places(_size(disk)))


def mark(block: bytes) -> bytes:
    """A block that is full of one byte is marked by that byte alone."""
    return block[:1] * MARK if block == block[:1] * len(block) else hashlib.sha256(block).digest()


def _size(disk: int) -> int:
    return os.lseek(disk, 0, os.SEEK_END)


def _places(size: int) -> list[int]:
    even = [size // PLACES * number // BLOCK * BLOCK for number in range(PLACES)]
    last = (size - BLOCK) // BLOCK * BLOCK
    return sorted({place for place in (*FIRST_PLACES, *even, last) if 0 <= place <= size - BLOCK})


def _read(disk: int, place: int) -> bytes:
    """From the disk itself: what the host has in its cache says nothing of it."""
    with mmap.mmap(-1, BLOCK) as block:
        if os.preadv(disk, [block], place) != BLOCK:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return bytes(block)


@contextlib.contextmanager
def _alone(function: Node, devfs: Path) -> Iterator[list[int]]:
    """The disks of the controller, opened so that nobody else of this host can use one meanwhile."""
    node = _node(function)
    names = [DISK_NAME.fullmatch(child.name) for child in [*node.children(), *(function / "block").children()]]
    paths = sorted({f"nvme{match[1]}n{match[2]}" for match in names if match})
    with contextlib.ExitStack() as stack:
        opened = []
        for name in paths:
            disk = os.open(devfs / name, os.O_RDONLY | os.O_EXCL | os.O_DIRECT | os.O_CLOEXEC)
            stack.callback(os.close, disk)
            opened.append(disk)
        yield opened


def _node(function: Node) -> Node:
    """The controller of the function, of the two places where kernels show it; raises ENODEV."""
    places = [*function.search("nvme/nvme*"), *function.search("misc/nvme*")]
    local = (one for one in places if (one / "transport").text() in (None, "", "pcie"))
    found = next((one for one in local if CONTROLLER_NAME.fullmatch(one.name)), None)
    if found is None:
        raise OSError(errno.ENODEV, f"{function.name} has no NVMe controller")
    return found


def _identify(function: Node, devfs: Path, what: int, nsid: int = 0) -> bytes:
    return _admin(function, devfs, IDENTIFY, nsid=nsid, cdw10=what, length=PAGE)


def _log(function: Node, devfs: Path, page: int) -> bytes:
    words = LOG // 4 - 1
    return _admin(function, devfs, GET_LOG_PAGE, nsid=ALL, cdw10=words << 16 | page, length=LOG)


def _admin(
    function: Node, devfs: Path, opcode: int, *, nsid: int = 0, cdw10: int = 0, length: int = 0, timeout: int = SOON
) -> bytes:
    """What the command answers; a status of the controller other than success is EREMOTEIO with its number."""
    buffer = ctypes.create_string_buffer(length)
    command = PassthruCmd(
        opcode=opcode,
        nsid=nsid,
        addr=ctypes.addressof(buffer) if length else 0,
        data_len=length,
        cdw10=cdw10,
        timeout_ms=timeout,
    )
    node = os.open(devfs / _node(function).name, os.O_RDWR | os.O_CLOEXEC)
    try:
        status = fcntl.ioctl(node, ADMIN_CMD, command)
    finally:
        os.close(node)
    if status:
        raise OSError(errno.EREMOTEIO, f"the controller answers with status {int(status):#x}")
    return buffer.raw
