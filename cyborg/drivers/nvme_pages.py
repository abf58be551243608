# SPDX-License-Identifier: Apache-2.0
"""What an NVMe controller says of itself and its namespaces, from the pages that it answers with.

Names of fields are those of the NVM Express base specification; integers are little-endian.
"""

import struct
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

from cyborg.drivers.nvme_ioctl import MARK


class Sanitize(IntEnum):
    """What can be ordered, SANACT."""

    BLOCK_ERASE = 2
    CRYPTO_ERASE = 4


class Status(IntEnum):
    """How the last one went, the lowest three bits of SSTAT."""

    NEVER = 0
    DONE = 1
    UNDER_WAY = 2
    FAILED = 3
    DONE_AND_DEALLOCATED = 4


DONE = frozenset({Status.DONE, Status.DONE_AND_DEALLOCATED})
#: DLFEAT: blocks that are not allocated read as all 00h or all FFh; else it is not said how.
DEFINED = frozenset({1, 2})


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """``sanitize`` are its ways, best first. ``formats_all``: a format, or its erasing, reaches every namespace."""

    sanitize: tuple[Sanitize, ...]
    formats: bool
    formats_all: bool
    manages_namespaces: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """``shared``: other controllers may have it too. ``formatting``: the format is not at its end.

    ``reads_as_erased``: nothing is allocated, and how that reads is known.
    """

    shared: bool
    formatting: bool
    reads_as_erased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SanitizeLog:
    """``progress`` is a part of 65536."""

    status: int
    progress: int


def controller(page: bytes) -> Controller:
    """Of Identify Controller: OACS, FNA and SANICAP. A physical erase can be seen; that a key is gone is only said."""
    oacs, fna, sanicap = struct.unpack_from("<H", page, 256)[0], page[524], struct.unpack_from("<I", page, 328)[0]
    ways = ((Sanitize.BLOCK_ERASE, 1), (Sanitize.CRYPTO_ERASE, 0))
    return Controller(
        sanitize=tuple(way for way, bit in ways if sanicap >> bit & 1),
        formats=bool(oacs >> 1 & 1),
        formats_all=bool(fna & 3),
        manages_namespaces=bool(oacs >> 3 & 1),
    )


def namespace(page: bytes) -> Namespace:
    """Of Identify Namespace: NUSE, NMIC, FPI and DLFEAT."""
    return Namespace(
        shared=bool(page[30] & 1),
        formatting=page[32] >> 7 == 1 and page[32] & 0x7F != 0,
        reads_as_erased=page[33] & 7 in DEFINED and not any(page[16:24]),
    )


def namespaces(page: bytes) -> tuple[int, ...]:
    """Of a list of namespace ids, which ends at the first zero."""
    found = struct.unpack(f"<{len(page) // 4}I", page)
    return found[: found.index(0)] if 0 in found else found


def sanitize_log(page: bytes) -> SanitizeLog:
    progress, status = struct.unpack_from("<HH", page)
    return SanitizeLog(status=status & 7, progress=progress)


def marks(sample: bytes) -> list[bytes]:
    return [sample[place : place + MARK] for place in range(0, len(sample), MARK)]


def left_over(before: bytes, after: bytes, *, known: bool) -> int:
    """How many blocks of a sample still have data: the same as ``before``, or any where none is ``known`` to be."""
    old = set(marks(before))
    return sum(not is_plain(mark) and (known or mark in old) for mark in marks(after))


def is_plain(mark: Collection[int]) -> bool:
    """Whether the block is full of one byte, as are blocks that were never written."""
    return len(set(mark)) == 1
