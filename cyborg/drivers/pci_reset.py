# SPDX-License-Identifier: Apache-2.0
"""A function made safe for its next guest by a reset, where a reset can reach this function alone.

``reset_method`` lists what the kernel would do, in that order. All but the resets of a whole bus touch one function;
one of a bus is only done when all else below that bridge is free. Without any method nothing is safe, and the caller is
told. A function that the host works with is left alone.

A driver of the host that does not live through a reset is taken off before and put back after. That it has to be put
back stands in ``driver_override``, where whoever repeats the work after a crash finds it.
"""

from collections.abc import Iterable

from cyborg.domain import errors
from cyborg.domain.host_work import Unit
from cyborg.drivers import actions, conflicts, pci_work
from cyborg.drivers.host import Host
from cyborg.drivers.patience import until
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.sysfs import Node

WHOLE_BUS = frozenset({"bus", "cxl_bus"})
BRIDGE = "0604"
#: How long a function may take to answer again.
PATIENCE = 10.0


def clean(host: Host, unit: Unit, rebind: Iterable[str] = (), patience: float = PATIENCE) -> None:
    """Reset the unit's function; a VF that is not there holds nothing. ``rebind`` drivers do not live through it."""
    pf = pci_work.card(host, unit)
    function = pci_work.function(pf, unit)
    if function is not None:
        check_vfs(function, unit)
        reset(host, function, unit, rebind, patience)


def reset(
    host: Host, function: PciFunction, unit: Unit, rebind: Iterable[str] = (), patience: float = PATIENCE
) -> None:
    """Of any function; ``unit`` says what others hold. Returns when it answers again."""
    pci_work.check_use(host, function)
    _check_method(host, function, unit)
    address, driver = function.address, function.driver
    if driver is not None and driver in rebind:
        with pci_work.refusals(f"take {driver} off {address}"):
            host.act(actions.OVERRIDE_DRIVER, address, driver)
            host.act(actions.UNBIND, address)
    with pci_work.refusals(f"reset {address}"):
        host.act(actions.RESET, address)
    wait_for(function, patience)
    _put_back(host, function.node, rebind)


def check_vfs(function: PciFunction, unit: Unit) -> None:
    """Raises InUse when a VF of the function is held."""
    why = conflicts.reach([vf.address for vf in function.virtfns.values()], unit.held)
    if why:
        raise errors.InUse(f"{function.address} cannot be made safe now: {why}.")


def resets_whole_bus(function: PciFunction) -> bool:
    """Whether that is what the kernel would do. Kernels before 5.15 do not say, so it may be."""
    methods = _methods(function)
    return bool(methods) and methods[0] in WHOLE_BUS


def _methods(function: PciFunction) -> list[str]:
    known = (function.node / "reset_method").text() if "reset_method" in function.names else "bus"
    return (known or "").split() if "reset" in function.names else []


def _check_method(host: Host, function: PciFunction, unit: Unit) -> None:
    if not _methods(function):
        raise errors.DriverError(
            f"{function.address} cannot be reset, so nothing says that it is safe for another guest. "
            "Cut its power, or restart the host, before it is given out again."
        )
    if resets_whole_bus(function):
        neighbours = {one.address: one.driver for one in _below_the_same_bridge(host, function)}
        why = conflicts.bus_reset(neighbours, unit.held)
        if why:
            raise errors.InUse(f"{function.address} can only be reset with its whole bus, and {why}.")


def _below_the_same_bridge(host: Host, function: PciFunction) -> list[PciFunction]:
    """With the VFs of what is there, which may have numbers of the next bus."""
    bus = function.address.rpartition(":")[0]
    there = [one for one in host.pci() if one.address.rpartition(":")[0] == bus and one.pci_class != BRIDGE]
    every = {one.address: one for one in [*there, *(vf for pf in there for vf in pf.virtfns.values())]}
    return [one for address, one in every.items() if address != function.address]


def wait_for(function: PciFunction, patience: float) -> None:
    """Raises DriverError when it does not answer as before in time: some show another card's ids for a while."""
    node, expected = function.node, (f"0x{function.vendor}", f"0x{function.device}")
    until(
        lambda: ((node / "vendor").text(), (node / "device").text()) == expected,
        patience,
        f"{node.name} does not answer as before {patience:g} seconds after its reset. See the kernel's log; it may "
        "need its power cut.",
    )


def _put_back(host: Host, node: Node, rebind: Iterable[str]) -> None:
    """What `clean` took off, in this run or in one that did not come to its end."""
    driver = (node / "driver_override").text()
    if driver is None or driver not in rebind:
        return
    with pci_work.refusals(f"put {driver} back on {node.name}"):
        host.act(actions.PROBE, node.name)
    bound = (node / "driver").target()
    if bound is None or bound.name != driver:
        raise errors.DriverError(f"{driver} does not take {node.name} back after its reset. See the kernel's log.")
    with pci_work.refusals(f"let any driver have {node.name}"):
        host.act(actions.OVERRIDE_DRIVER, node.name, "")
