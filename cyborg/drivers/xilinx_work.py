# SPDX-License-Identifier: Apache-2.0
"""An Alveo card made safe for its next guest: a reset of the board through its management function drops the image.

That reaches every function of the card, so none of them may be held. The user function is lent to the host's driver
afterwards, which shows whether anything is loaded.
"""

from collections.abc import Iterable

from cyborg.domain import errors
from cyborg.domain.host_work import Unit
from cyborg.drivers import actions, conflicts, lending, pci_reset, pci_work
from cyborg.drivers.fpga_cleaning import refusal
from cyborg.drivers.host import Host
from cyborg.drivers.patience import until
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.xilinx_card import Card

DRIVER = "xocl"
GROUP = "xilinx_fpga"
MANAGEMENT = "management"
RESET_FILE, LOADED = "mgmt_reset", "xclbinuuid"
PATIENCE = 60.0


def reset(host: Host, card: Card, unit: Unit) -> None:
    """The unit's function only."""
    if unit.part == MANAGEMENT and card.management is not None:
        pci_reset.reset(host, card.management, unit)
    else:
        pci_reset.clean(host, unit, rebind=(DRIVER,))


def blank(host: Host, card: Card, unit: Unit) -> None:
    """Raises DriverError where the card cannot be freed of what was loaded, or shows afterwards that it is not."""
    user, management = card.user, card.management
    if unit.part == MANAGEMENT:
        raise refusal(unit.address, "A guest that had the management function may have written the flash", GROUP)
    if user is None or pci_work.vf_number(unit) is not None:
        raise refusal(unit.address, "Virtual functions share one image, which they cannot be freed of", GROUP)
    if management is None or RESET_FILE not in management.names:
        raise refusal(unit.address, "No management function of it is on this host that could reset the board", GROUP)
    siblings = [one.address for one in (management, *user.virtfns.values())]
    why = conflicts.reach(siblings, unit.held)
    if why:
        raise errors.InUse(f"The board of {user.address} is not reset: {why}.")
    pci_work.check_use(host, user)
    with pci_work.refusals(f"reset the board of {user.address}"):
        host.act(actions.RESET_BOARD, management.address)
    lending.take(host, user, DRIVER, PATIENCE)
    _wait(card)
    loaded = (user.node / LOADED).text()
    if loaded is None or set(loaded) - {"0", "-"}:
        raise errors.DriverError(
            f"{user.address} shows {loaded or 'nothing'} as its loaded image after a reset of the board: it is not "
            "known to be blank. See the kernel's log, or cut its power."
        )
    lending.give_back(host, user, DRIVER)


def _wait(card: Card) -> None:
    """For a board that says it is ready; raises DriverError when it does not in time."""
    until(
        lambda: _is_ready(card.functions),
        PATIENCE,
        f"{card.key.address} is not ready {PATIENCE:g} seconds after a reset of its board. See the kernel's log.",
    )


def _is_ready(functions: tuple[PciFunction, ...]) -> bool:
    """By files read anew: both functions may have come back with others."""
    values = [(one.node / "ready").number(16) for one in functions]
    offline = [(one.node / "dev_offline").number(16) for one in functions]
    return all(value != 0 for value in values) and not any(offline) and any(values)


def card_of(cards: Iterable[Card], unit: Unit) -> Card:
    """Raises NotFound when the unit's card is gone."""
    found = next((one for one in cards if one.key.address == unit.address), None)
    if found is None:
        raise errors.NotFound(f"There is no card at {unit.address} any more. The next report shows where it went.")
    return found
