# SPDX-License-Identifier: Apache-2.0
"""A process that takes a tree of files for the /sys of its machine, and hears of cards that were never plugged in.

    environment = umockdev.environment(tree)            # tree has sys, and if need be dev and proc
    with Process("agent", command("cyborg-agent"), directory, environment):
        umockdev.tell(tree, "add", "/devices/pci0000:3b/0000:3b:00.0", "pci")

umockdev's library, put before a program, leads what it opens below /sys into the tree, and its events to sockets there.
umockdev's own way to send events wants the bindings of GObject; the message of libudev that they carry is simple.
Where the library is missing the test is skipped; with CYBORG_TEST_REQUIRE_SERVERS=1 it fails.
"""

import os
import socket
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

LIBRARY = "libumockdev-preload.so.0"
#: Of a message of libudev: its mark in front, and the size of what is in front of the properties.
MARK, MAGIC = b"libudev\0", 0xFEEDCAFE
HEADER = struct.Struct("=8s4s3I16s")


def environment(tree: Path) -> Mapping[str, str]:
    """For a process that is to live in the tree; skips, or fails, where the library is missing."""
    chosen = {"LD_PRELOAD": LIBRARY, "UMOCKDEV_DIR": str(tree)}
    if subprocess.run(["true"], env=os.environ | chosen, capture_output=True, check=False).stderr:
        complain = pytest.fail if os.environ.get("CYBORG_TEST_REQUIRE_SERVERS") == "1" else pytest.skip
        complain("umockdev is not installed (Debian and Ubuntu: apt-get install umockdev)")
    return chosen


def listens(tree: Path) -> bool:
    """Whether some process waits for events there."""
    return any(tree.glob("event*"))


def tell(tree: Path, action: str, path: str, subsystem: str) -> None:
    """Send an event, as udev does, to whoever waits for them in the tree; ``path`` is that below /sys."""
    credentials = struct.pack("iII", os.getpid(), os.getuid(), os.getgid())
    for place in tree.glob("event*"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_RAW) as sender:
            sender.connect(str(place))
            sender.sendmsg(
                [_message(ACTION=action, DEVPATH=path, SUBSYSTEM=subsystem, SEQNUM="1")],
                [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)],
            )


def _message(**properties: str) -> bytes:
    body = b"".join(f"{name}={value}\0".encode() for name, value in properties.items())
    filters = struct.pack(">4I", _hash(properties["SUBSYSTEM"].encode()), 0, 0, 0)
    return HEADER.pack(MARK, struct.pack(">I", MAGIC), HEADER.size, HEADER.size, len(body), filters) + body


def _hash(data: bytes) -> int:
    """MurmurHash2, by which the kernel sorts out subsystems that nobody waits for."""
    factor, mask = 0x5BD1E995, 0xFFFFFFFF
    found = len(data)
    whole = len(data) // 4 * 4
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        mixed = word * factor & mask
        found = (found * factor & mask) ^ ((mixed ^ mixed >> 24) * factor & mask)
    if data[whole:]:
        found = (found ^ int.from_bytes(data[whole:], "little")) * factor & mask
    found = (found ^ found >> 13) * factor & mask
    return found ^ found >> 15
