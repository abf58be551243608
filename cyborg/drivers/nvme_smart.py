# SPDX-License-Identifier: Apache-2.0
"""What an NVMe disk says of its own health, and what that means: of a disk of the host, or one behind an SPDK target.

Fields and bits are those of the SMART / Health Information log page (02h) of the NVM Express base specification;
integers are little-endian. Counts last for the life of a disk, so only their growth means something.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cyborg.domain.report import Health
from cyborg.drivers.nvme_ioctl import LOG
from cyborg.drivers.pci_health import Finding

DEGRADED, FAILED = Health.DEGRADED, Health.FAILED
SPARE_LOW: Finding = (DEGRADED, "spare_low")
WORN_OUT: Finding = (DEGRADED, "worn_out")
MEDIA_ERRORS: Finding = (DEGRADED, "media_errors")
WARM: Finding = (DEGRADED, "over_temperature")
HOT: Finding = (FAILED, "over_temperature")
#: Bits of Critical Warning; those of a persistent memory region are no matter of the disk.
WARNINGS: tuple[tuple[int, Finding], ...] = (
    (0, SPARE_LOW),
    (1, (DEGRADED, "temperature_warning")),
    (2, (FAILED, "reliability_degraded")),
    (3, (FAILED, "read_only")),
    (4, (FAILED, "backup_failed")),
)
#: Percentage Used of a disk at the end of the life that its vendor foresaw.
WORN = 100
FREEZING = 273

#: (name of a counter, its value or None) -> whether it grew
Grew = Callable[[str, int | None], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Smart:
    """None for what is not told. ``warm`` and ``hot`` are minutes above the lower and the higher limit of the disk.

    ``spare``, ``least_spare`` and ``used`` are in per cent, ``temperature`` in degrees Celsius.
    """

    warnings: int = 0
    temperature: int | None = None
    spare: int | None = None
    least_spare: int | None = None
    used: int | None = None
    media_errors: int | None = None
    warm: int | None = None
    hot: int | None = None


def of_page(page: bytes) -> Smart | None:
    """None for an answer that is no such page: too short, or one byte all over, as of hardware that is gone."""
    if len(page) < LOG or len(set(page)) == 1:
        return None
    warnings, kelvin, spare, least, used = struct.unpack_from("<BHBBB", page)
    warm, hot = struct.unpack_from("<II", page, 192)
    return Smart(
        warnings=warnings,
        temperature=kelvin - FREEZING if kelvin else None,
        spare=spare,
        least_spare=least,
        used=used,
        media_errors=int.from_bytes(page[160:176], "little"),
        warm=warm,
        hot=hot,
    )


def findings(smart: Smart, grew: Grew) -> Iterator[Finding]:
    """What is wrong with the disk; ``grew`` knows its counters of earlier looks, see `counters`."""
    for bit, finding in WARNINGS:
        if smart.warnings >> bit & 1:
            yield finding
    if smart.spare is not None and smart.least_spare is not None and smart.spare < smart.least_spare:
        yield SPARE_LOW
    if smart.used is not None and smart.used >= WORN:
        yield WORN_OUT
    for name, count, finding in (
        ("media_errors", smart.media_errors, MEDIA_ERRORS),
        ("warm_minutes", smart.warm, WARM),
        ("hot_minutes", smart.hot, HOT),
    ):
        if grew(name, count):
            yield finding


def sensors(smart: Smart) -> dict[str, float]:
    """By the names of `base.Measures`; what is told of them."""
    told = {
        "temp_c": smart.temperature,
        "spare_percent": smart.spare,
        "used_percent": smart.used,
        "media_errors": smart.media_errors,
    }
    return {name: float(value) for name, value in told.items() if value is not None}
