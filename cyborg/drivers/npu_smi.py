# SPDX-License-Identifier: Apache-2.0
"""What Huawei's ``npu-smi`` says of Ascend chips: there is no file of the kernel that tells it.

The tool prints text only. Its table is read for what nothing else has, which chip sits at which PCI address; the
health comes from its reports of ``key : value`` lines. Numbers of cards have gaps, so chips are joined by address.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cyborg.drivers.pci_function import ADDRESS
from cyborg.drivers.tools import Tools

TOOL = "npu-smi"
CONTROLLER = "mcu"
HEALTH = "health"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """``card`` and ``number`` are the tool's own names for it; values are None where the table has none."""

    card: str
    number: str
    health: str | None
    power: float | None
    temperature: float | None


class NpuSmi:
    """The answers of one scan: nothing is asked twice."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._cards: dict[str, str | None] = {}

    def chips(self) -> dict[str, Chip]:
        """By PCI address; none when the tool is not there or does not work."""
        return dict(_table(self._tools.run(TOOL, "info") or ""))

    def health(self, chip: Chip) -> str | None:
        """The tool's word for the chip, of its report or else of the table."""
        text = self._tools.run(TOOL, "info", "-t", "health", "-i", chip.card, "-c", chip.number)
        words = (_health(section) for section in _sections(text or ""))
        return next((word for word in words if word), chip.health)

    def board_health(self, card: str) -> str | None:
        """The tool's word for the board's controller, which all chips of the card share; None when it has none."""
        if card not in self._cards:
            text = self._tools.run(TOOL, "info", "-t", "health", "-i", card)
            found = (_controller(section) for section in _sections(text or ""))
            self._cards[card] = next((word for word in found if word), None)
        return self._cards[card]


def _table(text: str) -> Iterator[tuple[str, Chip]]:
    """Two lines for each chip, the second with its address, if it has one; columns differ between releases."""
    above: list[list[str]] = []
    for line in text.splitlines():
        cells = [cell.split() for cell in line.strip().strip("|").split("|")] if line.strip().startswith("|") else []
        words = (word.lower() for cell in cells[1:] for word in cell)
        address = next((word for word in words if ADDRESS.fullmatch(word)), None)
        if address and above and above[0] and cells[0]:
            values = [_number(word) for word in (above[2] if len(above) > 2 else [])]  # noqa: PLR2004
            power, temperature = [*values, None, None][:2]
            health = " ".join(above[1]) or None
            chip = Chip(card=above[0][0], number=cells[0][0], health=health, power=power, temperature=temperature)
            yield address, chip
        above = cells if len(cells) > 1 else []


def _number(word: str) -> float | None:
    return float(word) if re.fullmatch(r"\d+(\.\d+)?", word) else None


def _sections(text: str) -> Iterator[dict[str, str]]:
    """Lines ``key : value``, a new section after an empty line or where a key comes again; keys in lower case."""
    section: dict[str, str] = {}
    for line in [*text.splitlines(), ""]:
        key, _, value = (part.strip() for part in line.partition(":"))
        if section and (not line.strip() or key.lower() in section):
            yield section
            section = {}
        if key and value:
            section[key.lower()] = value


def _health(section: dict[str, str]) -> str | None:
    """That of a chip."""
    if _of_controller(section):
        return None
    return next((value for key, value in section.items() if key.startswith(HEALTH)), None)


def _controller(section: dict[str, str]) -> str | None:
    if not _of_controller(section):
        return None
    own = {key: value for key, value in section.items() if CONTROLLER in key.split()}
    named = (value for key, value in (own or section).items() if HEALTH in key or key == CONTROLLER)
    return next(named, None)


def _of_controller(section: dict[str, str]) -> bool:
    return any(CONTROLLER in key.split() or value.lower() == CONTROLLER for key, value in section.items())
