# SPDX-License-Identifier: Apache-2.0
"""Real values of the domain for the numbers of `explorer_world`, and numbers for real values."""

import itertools
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from cyborg.domain import arq, flow, inventory, profile, report, view
from cyborg.domain.arq import HOLDING, Arq, State
from cyborg.domain.host_work import Step
from cyborg.tests.unit.domain.explorer_world import NONE, Holder, Unit

GROUP = profile.Group(resources={view.GENERIC_CLASS: 1})
#: What is attached in the place of a unit that was prepared.
MADE: Mapping[str, str | None] = {"domain": "0000", "bus": "01", "device": "00", "function": "1"}
TO_MAKE: Mapping[str, str | None] = {"vgpu_type": "some"}
CAPABILITIES = frozenset({report.Capability.PREPARES, report.Capability.CLEANS})
#: Of work that has long ended, on a unit in quarantine.
FORGOTTEN = "work-long-ago"

Units = tuple[Unit, ...]


class Wrong(Exception):
    """Something that must never be, in words."""


class HostKind(NamedTuple):
    """A host with one card of so many units, and whether each has to be made before it is attached."""

    units: int
    made: bool


class NewWork(NamedTuple):
    kind: flow.Kind
    op: int
    ends: int
    steps: tuple[Step, ...]


class Change(NamedTuple):
    """``units`` afterwards; ``writes`` are the states that requests had and got; ``idle`` those that hold nothing."""

    units: Units
    writes: tuple[tuple[State, State], ...] = ()
    idle: tuple[State, ...] = ()
    work: tuple[NewWork, ...] = ()


def host(kind: HostKind, units: Units) -> inventory.Host:
    accelerators = tuple(
        inventory.Accelerator(
            uuid=f"unit-{number}",
            key=str(number),
            type=report.HandleType.PCI,
            info=TO_MAKE if kind.made else MADE,
            holder=None if unit.holder is None else f"arq-{number}",
            work=work_uuid(unit.work) if unit.work != NONE else FORGOTTEN if unit.quarantine else None,
            attached=MADE if unit.attached else None,
            quarantine="it cannot" if unit.quarantine else None,
        )
        for number, unit in enumerate(units)
    )
    part = inventory.Deployable(
        uuid="part",
        key="",
        name="part",
        resource_class="PGPU",
        traits=frozenset({"CUSTOM_GPU"}),
        accelerators=accelerators,
    )
    device = inventory.Device(
        uuid="device",
        driver="driver",
        address="0000:01:00.0",
        type=report.DeviceType.GPU,
        vendor="10de",
        model="20f1",
        capabilities=CAPABILITIES,
        deployables=(part,),
    )
    return inventory.Host(name="host", provider_uuid="provider", owned_traits=part.traits, devices=(device,))


def request(uuid: str, state: State, server: int = NONE) -> Arq:
    found = Arq(uuid=uuid, project_id="a-project", state=state, profile_name="any", group_id=0, group=GROUP)
    if server == NONE:
        return found
    binding = arq.Binding(arq_uuid=uuid, hostname="host", device_rp_uuid="provider", instance_uuid=server_uuid(server))
    return arq.bound(found, binding, state)


def holders(units: Units, which: Collection[int] | None = None) -> dict[str, Arq]:
    """The requests that hold these units, or any."""
    return {
        f"arq-{number}": request(f"arq-{number}", unit.holder.state, unit.holder.server)
        for number, unit in enumerate(units)
        if unit.holder is not None and (which is None or number in which)
    }


def preparation(units: Units, op: int) -> flow.Work:
    """The work as it was made when the bind began."""
    former = {
        f"arq-{number}": arq.Former(state=unit.holder.former, project_id="a-project")
        for number, unit in enumerate(units)
        if unit.holder is not None
    }
    return flow.Work(uuid=work_uuid(op), kind=flow.Kind.PREPARE, hostname="host", subject="server", former=former)


def work_uuid(op: int) -> str:
    return f"work-{op}"


def server_uuid(number: int) -> str:
    return f"server-{number}"


def uuids(first: int) -> Callable[[], str]:
    numbers = itertools.count(first)
    return lambda: work_uuid(next(numbers))


def change(units: Units, asked: Mapping[str, Arq], outcome: flow.Outcome, *, deleted: Collection[str] = ()) -> Change:
    """From ``units``, with the requests that were ``asked`` about; raises Wrong when units and requests disagree."""
    others = {uuid: one for uuid, one in holders(units).items() if uuid not in deleted}
    after = {**others, **outcome.requests}
    _check_agreement(outcome.host, after)
    former = {uuid: one.state for each in outcome.work for uuid, one in each.former.items()}
    former |= {f"arq-{number}": unit.holder.former for number, unit in enumerate(units) if unit.holder is not None}
    found = {unit.key: unit for _, _, unit in outcome.host.units()}
    return Change(
        units=tuple(_unit(unit, found[str(number)], after, former) for number, unit in enumerate(units)),
        writes=tuple(
            sorted((asked[uuid].state, one.state) for uuid, one in after.items() if one != asked.get(uuid, one))
        ),
        idle=tuple(sorted(one.state for one in after.values() if one.state not in HOLDING)),
        work=tuple(NewWork(one.kind, _number(one.uuid), _number(one.ends), one.steps) for one in outcome.work),
    )


def _unit(old: Unit, unit: inventory.Accelerator, requests: Mapping[str, Arq], former: Mapping[str, State]) -> Unit:
    holder = None
    if unit.holder is not None:
        found = requests[unit.holder]
        before = former[unit.holder] if found.state is State.BIND_STARTED else State.INITIAL
        holder = Holder(found.state, before, int(str(found.instance_uuid).rpartition("-")[2]))
    return old._replace(
        holder=holder,
        work=_number(unit.work),
        attached=unit.attached is not None,
        quarantine=unit.quarantine is not None,
    )


def _number(work: str | None) -> int:
    return NONE if work is None or work == FORGOTTEN else int(work.rpartition("-")[2])


def _check_agreement(found: inventory.Host, requests: Mapping[str, Arq]) -> None:
    held = sorted(unit.holder for _, _, unit in found.units() if unit.holder is not None)
    holding = sorted(uuid for uuid, one in requests.items() if one.state in HOLDING)
    if held != holding:
        raise Wrong(f"units are held by {held}, and {holding} hold one by their state")
