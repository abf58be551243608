# SPDX-License-Identifier: Apache-2.0
"""What becomes of the units of a host, and of their requests, in `explorer`: `cyborg.domain.flow` decides.

Each function makes the real values (see `explorer_values`), calls the real function, and says what changed. The same
question is asked in thousands of worlds, so answers are kept. Work is given the numbers from ``new`` on.
"""

import functools

from cyborg.domain import choice, errors, flow, inventory, view
from cyborg.domain.arq import Binding, State
from cyborg.tests.unit.domain import explorer_values as values
from cyborg.tests.unit.domain.explorer_values import GROUP, MADE, Change, HostKind, Units


@functools.cache
def bind(kind: HostKind, units: Units, asked: tuple[State, ...], server: int, new: int) -> Change | None:
    """Requests in these states, for one server; None when the host has too few units."""
    requests = {f"new-{number}": values.request(f"new-{number}", state) for number, state in enumerate(asked)}
    bindings = [
        Binding(arq_uuid=uuid, hostname="host", device_rp_uuid="provider", instance_uuid=values.server_uuid(server))
        for uuid in requests
    ]
    wants = [choice.Want(arq_uuid=uuid, group=GROUP) for uuid in requests]
    try:
        outcome = flow.bind(values.host(kind, units), requests, bindings, wants, values.uuids(new))
    except errors.NoAccelerator:
        return None
    return values.change(units, requests, outcome)


@functools.cache
def owned(kind: HostKind, units: Units, op: int) -> tuple[int, ...]:
    """The units that are still this operation's."""
    return tuple(int(unit.key) for _, _, unit in flow.units_of(values.host(kind, units), values.work_uuid(op)))


@functools.cache
def prepared(kind: HostKind, units: Units, op: int) -> Change:
    requests = values.holders(units)
    attached = {f"unit-{number}": MADE for number in owned(kind, units, op)}
    outcome = flow.prepared(values.host(kind, units), requests, values.preparation(units, op), attached)
    return values.change(units, requests, outcome)


@functools.cache
def refused(kind: HostKind, units: Units, op: int, new: int) -> Change:
    requests, work = values.holders(units), values.preparation(units, op)
    return values.change(units, requests, flow.refused(values.host(kind, units), requests, work, values.uuids(new)))


@functools.cache
def failed(kind: HostKind, units: Units, op: int, new: int) -> Change:
    requests, work = values.holders(units), values.preparation(units, op)
    outcome = flow.failed(values.host(kind, units), requests, work, "it cannot", values.uuids(new))
    return values.change(units, requests, outcome)


@functools.cache
def unbind(kind: HostKind, units: Units, which: tuple[int, ...], new: int) -> Change:
    """The requests that hold these units."""
    requests = values.holders(units, which)
    return values.change(units, requests, flow.unbind(values.host(kind, units), requests, values.uuids(new)))


@functools.cache
def unbind_idle(state: State) -> State:
    """Of a request that holds nothing."""
    requests = {"new-0": values.request("new-0", state)}
    return flow.unbind(inventory.Host(name="host"), requests, values.uuids(0)).requests["new-0"].state


@functools.cache
def delete(kind: HostKind, units: Units, which: tuple[int, ...], new: int) -> Change:
    requests = values.holders(units, which)
    outcome = flow.delete(values.host(kind, units), requests, values.uuids(new))
    return values.change(units, requests, outcome, deleted=frozenset(requests))


@functools.cache
def cleaned(kind: HostKind, units: Units, op: int) -> Change:
    after = flow.cleaned(values.host(kind, units), values.work_uuid(op))
    return values.change(units, {}, flow.Outcome(host=after, requests={}))


@functools.cache
def quarantined(kind: HostKind, units: Units, op: int) -> Change:
    after = flow.quarantined(values.host(kind, units), values.work_uuid(op), "it cannot")
    return values.change(units, {}, flow.Outcome(host=after, requests={}))


@functools.cache
def clean_again(kind: HostKind, units: Units, new: int) -> Change:
    after, work = flow.clean_again(values.host(kind, units), "device", values.uuids(new))
    return values.change(units, {}, flow.Outcome(host=after, requests={}, work=work))


@functools.cache
def free(kind: HostKind, units: Units) -> tuple[int, ...]:
    """The units that anybody may have, by the books."""
    found = values.host(kind, units).units()
    return tuple(int(unit.key) for device, _, unit in found if device.state(unit) is inventory.AcceleratorState.FREE)


@functools.cache
def offered(kind: HostKind, units: Units) -> tuple[int, bool]:
    """How many units Placement is to give away, on top of those that are held, and whether it is to show any trait."""
    shown = view.view(values.host(kind, units)).providers[0]
    held = sum(1 for unit in units if unit.holder is not None)
    return shown.inventories[view.GENERIC_CLASS].usable - held, bool(shown.traits)
