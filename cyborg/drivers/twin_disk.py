# SPDX-License-Identifier: Apache-2.0
"""An NVMe disk that does not exist, behind the commands of `twin`: it is soiled, erased, refuses, fails and lies.

    disks:
      "0000:5e:00.0": {}                                     sanitize by block and crypto erase, format, one namespace
      "0000:5f:00.0": {sanitize: [], namespaces: 2}          format only
      "0000:60:00.0": {fault: lies}                          says that it is erased, and is not
      "0000:61:00.0": {smart: {used: 104, media_errors: 2}}  worn out; the names are those of `SMART`

Faults are those of `FAULTS`.
"""

import errno
import hashlib
import struct
from collections.abc import Mapping
from typing import Any

from cyborg.drivers.nvme_ioctl import LOG, MARK, PAGE
from cyborg.drivers.nvme_pages import Sanitize, Status

#: What a disk may do instead of being erased.
FAULTS = {
    "refuses": "refuses to be erased",
    "fails": "fails half-way",
    "stuck": "never comes to the end of it",
    "lies": "says that it is erased, and is not",
}
WAYS = {"block": Sanitize.BLOCK_ERASE, "crypto": Sanitize.CRYPTO_ERASE}
SANICAP = {Sanitize.CRYPTO_ERASE: 1, Sanitize.BLOCK_ERASE: 2}
#: Fields of the SMART log: place, length, and what a disk without trouble has there.
SMART = {
    "warnings": (0, 1, 0),
    "kelvin": (1, 2, 310),
    "spare": (3, 1, 100),
    "least_spare": (4, 1, 10),
    "used": (5, 1, 2),
    "media_errors": (160, 16, 0),
    "warm": (192, 4, 0),
    "hot": (196, 4, 0),
}
BLOCKS = 4
ERASED = bytes(MARK)
#: How often it is looked at before a sanitize or format is over.
LOOKS = 2
INVALID_OPCODE = 0x2001
FORMATTING = 0x80 | 50


def fail(code: int, words: str) -> None:
    raise OSError(code, words)


class Disk:
    """``facts`` are those of a recorded host; ``sanitizing`` one is in the middle of it from the start."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.fault: str = facts.get("fault", "")
        self.smart: dict[str, int] = dict(facts.get("smart") or {})
        self._ways = [WAYS[word] for word in facts.get("sanitize", WAYS)]
        self._formats: bool = facts.get("format", True)
        self._formats_all: bool = facts.get("formats_all", False)
        self._shared: bool = facts.get("shared", False)
        self._hidden: int = facts.get("hidden", 0)
        self._dlfeat: int = facts.get("dlfeat", 1)
        self._data = {nsid: [ERASED] * BLOCKS for nsid in range(1, facts.get("namespaces", 1) + 1)}
        self._status = Status.UNDER_WAY if facts.get("sanitizing") else Status.NEVER
        self._looks = LOOKS
        self._formatting: set[int] = set()
        self._guests = 0

    @property
    def dirty(self) -> bool:
        return any(mark != ERASED for marks in self._data.values() for mark in marks)

    def soil(self) -> None:
        self._guests += 1
        for nsid in self._data:
            text = f"guest {self._guests}, namespace {nsid}"
            self._data[nsid] = [hashlib.sha256(f"{text}, {block}".encode()).digest() for block in range(BLOCKS)]

    def controller(self, _value: int) -> bytes:
        page = bytearray(PAGE)
        struct.pack_into("<H", page, 256, self._formats << 1 | bool(self._hidden) << 3)
        page[524] = 1 if self._formats_all else 0
        struct.pack_into("<I", page, 328, sum(SANICAP[way] for way in self._ways))
        return bytes(page)

    def active(self, _value: int) -> bytes:
        return _ids(list(self._data))

    def allocated(self, _value: int) -> bytes:
        return _ids([*self._data, *range(100, 100 + self._hidden)])

    def namespace(self, value: int) -> bytes:
        page = bytearray(PAGE)
        page[30], page[33] = self._shared, self._dlfeat
        if value in self._formatting:
            page[32] = FORMATTING
            if self._is_over():
                self._formatting.clear()
        return bytes(page)

    def sample(self, _value: int) -> bytes:
        if self._status is Status.UNDER_WAY:
            fail(errno.EIO, "a sanitize is under way")
        return b"".join(mark for marks in self._data.values() for mark in marks)

    def sanitize(self, value: int) -> bytes:
        if value not in self._ways or self.fault == "refuses":
            fail(errno.EREMOTEIO, f"the controller answers with status {INVALID_OPCODE:#x}")
        self._status, self._looks = Status.UNDER_WAY, LOOKS
        return b""

    def sanitize_log(self, _value: int) -> bytes:
        if self._status is Status.UNDER_WAY and self._is_over():
            self._status = Status.FAILED if self.fault == "fails" else Status.DONE
            if self._status is Status.DONE:
                self._erase(list(self._data))
        page = bytearray(LOG)
        struct.pack_into("<HH", page, 0, 0x8000 if self._status is Status.UNDER_WAY else 0xFFFF, self._status)
        return bytes(page)

    def format(self, value: int) -> bytes:
        if not self._formats or self.fault == "refuses" or value not in self._data:
            fail(errno.EREMOTEIO, f"the controller answers with status {INVALID_OPCODE:#x}")
        if self.fault == "fails":
            fail(errno.EREMOTEIO, "the controller answers with status 0x6")
        self._formatting.add(value)
        self._looks = LOOKS
        self._erase([value])
        return b""

    def smart_log(self, _value: int) -> bytes:
        page = bytearray(LOG)
        for name, (place, length, usual) in SMART.items():
            page[place : place + length] = self.smart.get(name, usual).to_bytes(length, "little")
        return bytes(page)

    def _is_over(self) -> bool:
        self._looks -= self.fault != "stuck"
        return self._looks < 0

    def _erase(self, namespaces: list[int]) -> None:
        if self.fault != "lies":
            self._data |= {nsid: [ERASED] * BLOCKS for nsid in namespaces}


def _ids(found: list[int]) -> bytes:
    return struct.pack(f"<{len(found)}I", *found).ljust(PAGE, b"\0")
