# SPDX-License-Identifier: Apache-2.0
"""An Ascend chip made safe for its next guest by a reset, whose reach is known before: the 310P takes its card along.

A reset of the bus takes a 310P off it for some seconds, and on a card with two of them (300I Duo) the other one as
well. So all chips behind the switch of that card must be free. The chip shows another card's ids meanwhile.
"""

import time

from cyborg.domain import errors, report
from cyborg.domain.host_work import Unit
from cyborg.drivers import conflicts, mdev, pci_reset, pci_work
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction

CHIP_310P = "d500"
DUO = "0x0110"
#: Seconds that a chip may be away, and after which one that is still there has not gone at all.
PATIENCE, SETTLE = 60.0, 2.0
#: Of a path in sysfs, what stands between the switch of a Duo card and a chip: a port of that switch.
BELOW_SWITCH = 2


def clean(host: Host, unit: Unit, *, no_bus_reset: bool, settle: float) -> None:
    chip = pci_work.card(host, unit)
    if unit.type is report.HandleType.MDEV:
        pci_work.remove_mdev(host, unit)
        return
    if mdev.in_use([("", chip)]):
        raise errors.InUse(f"{chip.address} serves virtual NPUs and is not reset.")
    function = pci_work.function(chip, unit)
    by_bus = function is chip and pci_reset.resets_whole_bus(chip)
    if by_bus and no_bus_reset:
        raise errors.DriverError(
            f"{chip.address} can only be reset with its bus, and [huawei_ascend] no_bus_reset forbids that. Restart "
            "the host, or cut the card's power, before it is given out again."
        )
    leaves = by_bus and chip.device == CHIP_310P
    why = conflicts.reach(siblings(chip, host.pci()), unit.held) if leaves else None
    if why:
        raise errors.InUse(f"{chip.address} can only be reset with its bus, and {why}.")
    pci_reset.clean(host, unit, patience=PATIENCE)
    if leaves:
        time.sleep(settle)
        pci_reset.wait_for(chip, PATIENCE)


def siblings(chip: PciFunction, functions: tuple[PciFunction, ...]) -> list[str]:
    """The other 310P of its Duo card; where nothing shows how they are wired, those of all such cards."""
    if not _is_duo(chip):
        return []
    switch = _switch(chip)
    return [
        other.address
        for other in functions
        if other is not chip and _is_duo(other) and (switch is None or _switch(other) in (switch, None))
    ]


def _is_duo(function: PciFunction) -> bool:
    """By the subsystem, which a chip that a guest has shows too."""
    return function.device == CHIP_310P and (function.node / "subsystem_device").text() == DUO


def _switch(function: PciFunction) -> str | None:
    """The place of the card's switch in sysfs; None where the chip is right below the root."""
    place = function.node.target()
    ways = place.path.split("/") if place else []
    bridges = [part for part in ways[:-1] if part.count(":") == BELOW_SWITCH]
    return "/".join(ways[:-BELOW_SWITCH]) if len(bridges) >= BELOW_SWITCH else None
