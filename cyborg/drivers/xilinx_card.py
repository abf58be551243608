# SPDX-License-Identifier: Apache-2.0
"""An Alveo card: two PCI functions in one slot, and what their kernel drivers show of it.

    0000:3b:00.0    management, driver xclmgmt    flash and shell; the host keeps it
    0000:3b:00.1    user, driver xocl             what a guest works with

Inside a guest there is only the user function. A card on its factory (golden) image has only the other one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cyborg.domain.report import Health
from cyborg.drivers import hwmon, pci_health
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.pci_health import Finding, Reader

#: Management functions in their factory image: U200, U250, U280, U50, U25, U30.
GOLDEN = frozenset({"d000", "d004", "d00c", "d020", "d04c", "d03c"})
#: Levels of a firewall that has not tripped; -1 is shown without a sign.
QUIET = frozenset({None, 0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
FIREWALL = ("level", "detected_level", "status")

GOLDEN_IMAGE: Finding = (Health.DEGRADED, "golden_image")
RECOVERY_IMAGE: Finding = (Health.DEGRADED, "recovery_image")
NOT_READY: Finding = (Health.FAILED, "not_ready")
OFFLINE: Finding = (Health.UNKNOWN, "offline")
BAD_STATE: Finding = (Health.FAILED, "bad_state")
FIREWALL_TRIPPED: Finding = (Health.FAILED, "firewall_tripped")
MGMT_ERROR: Finding = (Health.DEGRADED, "mgmt_error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """At least one of the functions is there."""

    user: PciFunction | None
    management: PciFunction | None

    @property
    def functions(self) -> tuple[PciFunction, ...]:
        return tuple(function for function in (self.user, self.management) if function)

    @property
    def key(self) -> PciFunction:
        return self.functions[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """``ready`` is None when nothing says it. ``usable``: a guest can work with what the card runs."""

    ready: bool | None
    usable: bool
    region: str | None
    loaded: str | None
    platform: str | None
    findings: tuple[Finding, ...]


def pair(functions: Iterable[PciFunction]) -> Iterator[Card]:
    """The cards that these functions make up; the first of each kind counts in a slot."""
    slots: dict[str, dict[bool, PciFunction]] = {}
    for function in functions:
        slots.setdefault(function.address.rpartition(".")[0], {}).setdefault(_is_user(function), function)
    for slot in slots.values():
        yield Card(user=slot.get(True), management=slot.get(False))


def read(card: Card) -> State:
    """Nothing is asked of a function that sleeps; one that a guest has shows nothing."""
    reader = Reader()
    sides = [_Side(function, reader) for function in card.functions if not function.asleep]
    management = next((side for side in sides if side.function is card.management), None)
    image = list(_image(card, management))
    ready = _ready(sides)
    found = list(image)
    if any(side.number("dev_offline") for side in sides):
        # While it is reset, what the card says of itself means nothing.
        found.append(OFFLINE)
    else:
        found += [_silence(card, sides)] if ready is None and not image else []
        found += [NOT_READY] if ready is False and not image else []
        found += [finding for side in sides for finding in side.trouble()]
    return State(
        ready=ready,
        usable=card.user is not None and ready is not False and not image,
        region=next((text for side in sides if (text := side.first("interface_uuids"))), None),
        loaded=next((text for side in sides if (text := side.first("xclbinuuid"))), None),
        platform=_platform(sides, golden=GOLDEN_IMAGE in image),
        findings=(*found, *reader.findings),
    )


def temperature(card: Card) -> float | None:
    """In degrees; of the board controller's sensor, else of the first monitor that has one."""
    awake = [function.node for function in card.functions if not function.asleep]
    controllers = [file.number() for node in awake for file in node.search("xmc.*/xmc_fpga_temp")]
    monitors = [hwmon.celsius(chip, "temp1") for node in awake for chip in hwmon.chips(node)]
    return next((float(value) for value in [*controllers, *monitors] if value is not None), None)


def _is_user(function: PciFunction) -> bool:
    """By the mark that its driver sets; else by the id, which is odd for user functions."""
    if "mgmt_pf" in function.names:
        return False
    return "user_pf" in function.names or bool(int(function.device, 16) & 1)


def _image(card: Card, management: "_Side | None") -> Iterator[Finding]:
    """The image that the card came up with, when that is not the one that users work with."""
    golden = card.management is not None and card.management.device in GOLDEN
    if golden or (management and management.number("mfg")):
        yield GOLDEN_IMAGE
    if management and management.number("recovery"):
        yield RECOVERY_IMAGE


def _ready(sides: "list[_Side]") -> bool | None:
    values = [value for side in sides if (value := side.number("ready")) is not None]
    return all(values) if values else None


def _silence(card: Card, sides: "list[_Side]") -> Finding:
    """Why nothing says whether the card is ready."""
    if any("ready" in side.function.names for side in sides):
        return pci_health.UNREADABLE
    return pci_health.ASLEEP if any(function.asleep for function in card.functions) else pci_health.NO_DRIVER


def _platform(sides: "list[_Side]", *, golden: bool) -> str | None:
    names = [file.text() for side in sides for file in side.function.node.search("rom.*/VBNV")]
    board = next((text for side in sides if (text := side.first("board_name"))), None)
    version = next((text for side in sides if (text := side.first("mfg_ver"))), None)
    made = f"xilinx_{board}_GOLDEN_{version}" if golden and board and version else None
    return next((name for name in names if name), made)


class _Side:
    """The files of one function; those that it lists and that cannot be read become findings of the reader."""

    def __init__(self, function: PciFunction, reader: Reader) -> None:
        self.function = function
        self._reader = reader

    def number(self, name: str) -> int | None:
        """Written with or without ``0x``, and small enough to be the same either way."""
        return self._reader.number(self.function.node / name, 16) if name in self.function.names else None

    def first(self, name: str) -> str | None:
        """The first line."""
        text = self._reader.text(self.function.node / name) if name in self.function.names else None
        return text.splitlines()[0].strip() if text else None

    def trouble(self) -> Iterator[Finding]:
        if self.number("device_bad_state"):
            yield BAD_STATE
        if self.first("error"):
            yield MGMT_ERROR
        for unit in self.function.node.children("firewall.*"):
            levels = [file for name in FIREWALL for file in unit.children(name)]
            if any(self._reader.number(file, 0) not in QUIET for file in levels):
                yield FIREWALL_TRIPPED
        for chip in hwmon.chips(self.function.node):
            yield from hwmon.heat(chip)
