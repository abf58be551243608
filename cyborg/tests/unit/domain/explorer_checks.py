# SPDX-License-Identifier: Apache-2.0
"""What must hold in every world that `explorer` meets; that units and requests agree is checked with every change."""

from cyborg.domain import flow
from cyborg.domain.arq import State
from cyborg.tests.unit.domain import explorer_domain as domain
from cyborg.tests.unit.domain.explorer_values import HostKind, Wrong
from cyborg.tests.unit.domain.explorer_world import NONE, Host, Unit, World


def check(world: World, kinds: tuple[HostKind, ...]) -> None:
    """Raises Wrong, in words."""
    for number, (host, kind) in enumerate(zip(world.hosts, kinds, strict=True)):
        free = domain.free(kind, host.units)
        for place, unit in enumerate(host.units):
            _check_unit(world, unit, f"unit {place} of host {number}", made_first=kind.made, is_free=place in free)
        _check_offer(kind, host, len(free), f"host {number}")


def check_rest(world: World) -> None:
    """Nothing can be done any more: then there must be nothing left to do."""
    if world.ops:
        raise Wrong("an operation is stuck")
    if any(
        unit.holder is not None and unit.holder.state is not State.BOUND for host in world.hosts for unit in host.units
    ):
        raise Wrong("a request is stuck")


def _check_unit(world: World, unit: Unit, name: str, *, made_first: bool, is_free: bool) -> None:
    if is_free and (unit.made or unit.dirty):
        raise Wrong(f"{name} is free, and something of its former holder is there: {unit}")
    if unit.holder is None:
        if unit.work != NONE and not unit.quarantine:
            _check_worked_on(world, unit, flow.Kind.TAKE_BACK, name)
        elif not unit.quarantine and not is_free:
            raise Wrong(f"{name} is nobody's, and will never be free: {unit}")
    elif unit.holder.state is State.BIND_STARTED:
        _check_worked_on(world, unit, flow.Kind.PREPARE, name)
    elif made_first and not (unit.made and unit.attached):
        raise Wrong(f"{name} is held by a Bound request, and not ready for it: {unit}")
    elif not unit.dirty:
        raise Wrong(f"{name} was cleaned under its guest: {unit}")


def _check_worked_on(world: World, unit: Unit, kind: flow.Kind, name: str) -> None:
    if unit.work == NONE or not world.ops[unit.work].row or world.ops[unit.work].kind is not kind:
        raise Wrong(f"{name} waits for an operation that there is not: {unit}")


def _check_offer(kind: HostKind, host: Host, free: int, name: str) -> None:
    units, traits = domain.offered(kind, host.units)
    if units > free or traits != bool(free):
        raise Wrong(f"{name} has {free} free unit(s), and Placement is to offer {units}, traits: {traits}")
