# SPDX-License-Identifier: Apache-2.0
"""The hardware monitors of a card: its temperatures, and whether one is above a limit."""

from collections.abc import Iterator

from cyborg.domain.report import Health
from cyborg.drivers.pci_health import Finding, Reader
from cyborg.drivers.sysfs import Node

#: What reaching a limit means, the worse one first.
LIMITS = (("crit", Health.FAILED), ("max", Health.DEGRADED))


def chips(place: Node, *names: str) -> Iterator[Node]:
    """The monitors directly below a function: those with one of the names, or all when no name is given."""
    for chip in place.search("hwmon/hwmon*"):
        if not names or (chip / "name").text() in names:
            yield chip


def heat(chip: Node) -> Iterator[Finding]:
    """A finding for each temperature at a limit, and for each that cannot be read; an empty one is no sensor."""
    names = chip.names() or frozenset()
    for name in sorted(name for name in names if name.startswith("temp") and name.endswith("_input")):
        reader = Reader()
        value = reader.number(chip / name)
        yield from reader.findings
        for limit, health in LIMITS:
            limit_name = name.replace("_input", f"_{limit}")
            bound = (chip / limit_name).number() if limit_name in names else None
            if value is not None and bound is not None and value >= bound:
                yield health, "over_temperature"
                break


def sensors(chip: Node) -> dict[str, float]:
    """``temp_c`` of the first sensor and ``power_w``, on average where the chip tells that; what it has of them."""
    average, now = watts(chip, "power1_average"), watts(chip, "power1_input")
    found = {"temp_c": celsius(chip, "temp1"), "power_w": now if average is None else average}
    return {name: value for name, value in found.items() if value is not None}


def celsius(chip: Node, sensor: str) -> float | None:
    """``sensor`` such as ``temp1``; None when there is no value."""
    value = (chip / f"{sensor}_input").number()
    return value / 1000 if value is not None else None


def watts(chip: Node, file: str) -> float | None:
    """``file`` such as ``power1_input``; None when there is no value."""
    value = (chip / file).number()
    return value / 1_000_000 if value is not None else None
