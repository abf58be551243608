# SPDX-License-Identifier: Apache-2.0
"""What the management engine of an Intel FPGA is asked by ioctl, on the node of one PCI function.

The kernel's ABI is ``include/uapi/linux/fpga-dfl.h``, for ``/dev/dfl-fme.N``. Partial reconfiguration,
``DFL_FPGA_FME_PORT_PR``, is ``_IO(0xB6, 0x80)`` with a structure of 24 bytes: size, flags (0), number of the port,
length and address of the raw bitstream. The kernel's driver keeps the port in reset meanwhile; EIO is the hardware's
refusal, EBUSY a port or engine that is open elsewhere. ``DFL_FPGA_FME_PORT_RELEASE`` and ``DFL_FPGA_FME_PORT_ASSIGN``
are ``_IOW(0xB6, 0x81, int)`` and ``_IOW(0xB6, 0x82, int)`` with the number of a port, which leaves the function so that
a virtual function can have it, or comes back.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from cyborg.drivers.sysfs import Node

PORT_PR = 0xB680
PORT_RELEASE, PORT_ASSIGN = 0x4004B681, 0x4004B682
ENGINE = "fpga_region/region*/dfl-fme.*"


class PortPr(ctypes.Structure):
    """``struct dfl_fpga_fme_port_pr``."""

    _fields_ = (
        ("argsz", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("port_id", ctypes.c_uint32),
        ("buffer_size", ctypes.c_uint32),
        ("buffer_address", ctypes.c_uint64),
    )


def program(function: Node, devfs: Path, value: int, data: bytes) -> bytes:
    """Put the raw bitstream ``data`` into the region behind port ``value``; returns when the card has taken it."""
    buffer = ctypes.create_string_buffer(data, len(data))
    order = PortPr(
        argsz=ctypes.sizeof(PortPr),
        port_id=value,
        buffer_size=len(data),
        buffer_address=ctypes.addressof(buffer),
    )
    with _engine(function, devfs) as node:
        fcntl.ioctl(node, PORT_PR, order)
    return b""


def release_port(function: Node, devfs: Path, value: int, _data: bytes) -> bytes:
    """EBUSY for a port that is in use, or has left."""
    with _engine(function, devfs) as node:
        fcntl.ioctl(node, PORT_RELEASE, struct.pack("=i", value))
    return b""


def assign_port(function: Node, devfs: Path, value: int, _data: bytes) -> bytes:
    """EBUSY for a port that is here."""
    with _engine(function, devfs) as node:
        fcntl.ioctl(node, PORT_ASSIGN, struct.pack("=i", value))
    return b""


@contextlib.contextmanager
def _engine(function: Node, devfs: Path) -> Iterator[int]:
    engine = next(function.search(ENGINE), None)
    if engine is None:
        raise OSError(errno.ENODEV, f"{function.name} has no management engine")
    node = os.open(devfs / engine.name, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield node
    finally:
        os.close(node)
