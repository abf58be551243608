# SPDX-License-Identifier: Apache-2.0
"""The health rules that all PCI cards share, and how findings add up.

Error counters last until a reboot, so their growth counts (see `counters`): that of a fatal or non-fatal error, or of
ten correctable ones. At first sight all that were counted do.
"""

from collections.abc import Iterable

from cyborg.domain.report import Health
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.sysfs import Node

#: What was found: how bad, and a short word for it.
Finding = tuple[Health, str]

UNREADABLE: Finding = (Health.UNKNOWN, "unreadable")
ASLEEP: Finding = (Health.UNKNOWN, "asleep")
NO_DRIVER: Finding = (Health.UNKNOWN, "no_driver")

MEANINGLESS_WIDTHS = ("0", "255")

_WORST_FIRST = (Health.FAILED, Health.DEGRADED, Health.UNKNOWN)
_COUNTERS = (
    ("aer_dev_fatal", "TOTAL_ERR_FATAL", 1, (Health.FAILED, "fatal_errors")),
    ("aer_dev_nonfatal", "TOTAL_ERR_NONFATAL", 1, (Health.DEGRADED, "nonfatal_errors")),
    ("aer_dev_correctable", "TOTAL_ERR_COR", 10, (Health.DEGRADED, "correctable_errors")),
)


class Reader:
    """Reads files that a directory lists; one that cannot be read, or makes no sense, becomes a finding.

    An empty file is a value that the card does not have: None, and no finding.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def text(self, file: Node) -> str | None:
        text = file.text()
        if text is None:
            self.findings.append(UNREADABLE)
        return text or None

    def number(self, file: Node, base: int = 10) -> int | None:
        text = self.text(file)
        try:
            return int(text, base) if text else None
        except ValueError:
            self.findings.append(UNREADABLE)
            return None


def verdict(findings: Iterable[Finding]) -> tuple[Health, tuple[str, ...]]:
    """The worst health of all, and the reasons, worst first and each once."""
    found = sorted(set(findings), key=lambda finding: (_WORST_FIRST.index(finding[0]), finding[1]))
    return (found[0][0] if found else Health.OK), tuple(dict.fromkeys(reason for _, reason in found))


def findings(function: PciFunction) -> list[Finding]:
    """What the kernel knows of errors and of the link, and what it cannot tell; nothing for a card that is well."""
    reader = Reader()
    if function.unreadable():
        reader.findings.append(UNREADABLE)
    found: list[Finding] = []
    for file, total, limit, finding in _COUNTERS:
        if file not in function.names:
            continue
        count = _total(reader, function.node / file, total)
        if function.grew(file, count, by=limit, first=limit):
            found.append(finding)
    if _narrow_link(reader, function):
        found.append((Health.DEGRADED, "link_width_below_max"))
    return [*found, *reader.findings]


def _total(reader: Reader, file: Node, name: str) -> int | None:
    """Only the last line is the same on every kernel; the names above it differ, and need not add up to it."""
    text = reader.text(file)
    if text is None:
        return None
    for line in text.splitlines():
        word, _, count = " ".join(line.split()).rpartition(" ")
        if word == name and count.isdecimal():
            return int(count)
    reader.findings.append(UNREADABLE)
    return None


def _narrow_link(reader: Reader, function: PciFunction) -> bool:
    """Asked only of a card that is awake: a sleeping one shows nonsense, and asking may wake it."""
    if function.power_state != "D0":
        return False
    current, best = (_width(reader, function, name) for name in ("current_link_width", "max_link_width"))
    return current is not None and best is not None and current < best


def _width(reader: Reader, function: PciFunction, name: str) -> int | None:
    """None when there is no such file, or when the value means nothing."""
    lanes = reader.text(function.node / name) if name in function.names else None
    return int(lanes) if lanes is not None and lanes.isdecimal() and lanes not in MEANINGLESS_WIDTHS else None
