# SPDX-License-Identifier: Apache-2.0
"""Partial reconfiguration of an Intel FPGA by ioctl on the management engine of one PCI function.

The kernel's ABI is ``include/uapi/linux/fpga-dfl.h``: ``DFL_FPGA_FME_PORT_PR`` is ``_IO(0xB6, 0x80)`` on
``/dev/dfl-fme.N``, with a structure of 24 bytes: size, flags (0), number of the port, length and address of the raw
bitstream. The kernel's driver keeps the port in reset meanwhile; EIO is the hardware's refusal, EBUSY a port or engine
that is open elsewhere.
"""

import ctypes
import errno
import fcntl
import os
from pathlib import Path

from cyborg.drivers.sysfs import Node

PORT_PR = 0xB680
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
    engine = next(function.search(ENGINE), None)
    if engine is None:
        raise OSError(errno.ENODEV, f"{function.name} has no management engine")
    buffer = ctypes.create_string_buffer(data, len(data))
    order = PortPr(
        argsz=ctypes.sizeof(PortPr),
        port_id=value,
        buffer_size=len(data),
        buffer_address=ctypes.addressof(buffer),
    )
    node = os.open(devfs / engine.name, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(node, PORT_PR, order)
    finally:
        os.close(node)
    return b""
