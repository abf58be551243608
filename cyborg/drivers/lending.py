# SPDX-License-Identifier: Apache-2.0
"""A function that guests have, lent to a driver of the host for as long as the host has something to do with it.

    lending.take(host, function, "nvme")         vfio-pci, or nobody, had it; now the host's nvme has
    lending.give_back(host, function, "nvme")    vfio-pci has it again

That a function has to go back to ``vfio-pci`` stands in ``driver_override``, where whoever repeats the work after a
crash finds it. A function without a driver stays with the host's: that is where a hypervisor leaves it too. Only a VF
that the host's drivers are kept off (``sriov_drivers_autoprobe`` is 0) is left without one again.
"""

from cyborg.domain import errors
from cyborg.drivers import actions, pci_work
from cyborg.drivers.host import Host
from cyborg.drivers.patience import until
from cyborg.drivers.pci_function import PciFunction

GUESTS = "vfio-pci"
PATIENCE = 10.0


def take(host: Host, function: PciFunction, driver: str, patience: float = PATIENCE) -> None:
    """Nothing when ``driver`` has it; raises DriverError when somebody else does, or the driver does not take it."""
    bound = _bound(function)
    if bound == driver:
        return
    if bound not in (None, GUESTS):
        raise errors.DriverError(
            f"{function.address} is bound to {bound}, and only {driver} can make it safe. Unbind it there."
        )
    with pci_work.refusals(f"lend {function.address} to {driver}"):
        if bound == GUESTS or _override(function) is not None or _kept_off(function):
            host.act(actions.OVERRIDE_DRIVER, function.address, driver)
        if bound == GUESTS:
            host.act(actions.UNBIND, function.address)
        host.act(actions.PROBE, function.address)
    until(
        lambda: _bound(function) == driver,
        patience,
        f"{driver} does not take {function.address}. See the kernel's log.",
    )


def give_back(host: Host, function: PciFunction, driver: str) -> None:
    """To whom it was taken from, in this run or in one that did not come to its end."""
    override = _override(function)
    if _bound(function) != driver or override not in (driver, GUESTS):
        return
    with pci_work.refusals(f"give {function.address} back"):
        if _kept_off(function):
            host.act(actions.UNBIND, function.address)
            host.act(actions.OVERRIDE_DRIVER, function.address, "")
            return
        host.act(actions.OVERRIDE_DRIVER, function.address, GUESTS)
        host.act(actions.UNBIND, function.address)
        host.act(actions.PROBE, function.address)
    if _bound(function) != GUESTS:
        raise errors.DriverError(f"{GUESTS} does not take {function.address} back. See the kernel's log.")


def _bound(function: PciFunction) -> str | None:
    target = (function.node / "driver").target()
    return target.name if target else None


def _override(function: PciFunction) -> str | None:
    text = (function.node / "driver_override").text()
    return None if text in ("(null)", "") else text


def _kept_off(function: PciFunction) -> bool:
    return function.physfn is not None and (function.physfn.node / "sriov_drivers_autoprobe").text() == "0"
