# SPDX-License-Identifier: Apache-2.0
"""What each event does to a host and to the requests that have something of it.

    bind            Bound at once; where a unit has to be prepared, BindStarted and a piece of work for each server
    prepared        that work ends well: Bound, with what the hypervisor is to attach
    refused         it cannot be done, and the caller still waits: as if nobody had asked
    failed          it cannot be done, and the caller was answered: BindFailed
    unbind, delete  at any time; what was under way is called off
    cleaned         a unit that was taken back is free
    quarantined     it cannot be made safe, so nobody gets it
    clean_again     an operator has looked

Work owns a unit while the unit's ``work`` is its uuid. Nothing else says so, which makes it harmless to call off: who
takes a unit away gives it other work, or none, and what comes of the former work finds nothing of its own any more.

    held by     work    quarantine
    -           -       -             free, as far as this goes
    request     prepare -             BindStarted
    request     -       -             Bound
    -           take_back  -          cleaned and released
    -           take_back  why        nobody's, until an operator enables its device

Values in, values out. A host comes back without a new generation (see `view.advance`); of the requests all come back
that went in, but for deleted ones. Their times and handles are the store's to set.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cyborg.domain import arq, choice, host_work, inventory
from cyborg.domain.report import Capability

Requests = Mapping[str, arq.Arq]
Info = Mapping[str, str | None]
MakeUuid = Callable[[], str]


class Kind(StrEnum):
    PREPARE = "prepare"
    TAKE_BACK = "take_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A piece of work on ``hostname``; its units are those that have its ``uuid`` as their ``work``.

    To prepare is for one server (``subject``), with all requests of the call in ``former``. To take back is for one
    accelerator (``subject``): ``steps`` in order, ``ends`` is the work before on that unit, none of whose messages may
    do anything any more, and ``refusals`` counts how often its host could not.
    """

    uuid: str
    kind: Kind
    hostname: str
    subject: str
    former: Mapping[str, arq.Former] = field(default_factory=dict)
    steps: tuple[host_work.Step, ...] = ()
    ends: str | None = None
    refusals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``work`` is to be done after this; ``chosen`` has the unit of each request that was bound."""

    host: inventory.Host
    requests: Requests
    work: tuple[Work, ...] = ()
    chosen: Mapping[str, inventory.Accelerator] = field(default_factory=dict)


def bind(
    host: inventory.Host,
    requests: Requests,
    bindings: Iterable[arq.Binding],
    wants: Collection[choice.Want],
    make_uuid: MakeUuid,
) -> Outcome:
    """All bindings on this host, or none: raises NoAccelerator. ``wants`` has one for each of them."""
    after, chosen = choice.claim(host, wants)
    servers: defaultdict[str, list[arq.Binding]] = defaultdict(list)
    for one in bindings:
        servers[one.instance_uuid].append(one)
    work: dict[str, Work] = {}
    changed: dict[str, arq.Arq] = {}
    owner: dict[str, str] = {}
    for server, asked in servers.items():
        units = {chosen[one.arq_uuid].uuid for one in asked}
        state = arq.State.BOUND
        if _any_to_prepare(host, units):
            state = arq.State.BIND_STARTED
            former = {one.arq_uuid: arq.former(requests[one.arq_uuid]) for one in asked}
            made = Work(uuid=make_uuid(), kind=Kind.PREPARE, hostname=host.name, subject=server, former=former)
            work[server] = made
            owner |= dict.fromkeys(units, made.uuid)
        changed |= {one.arq_uuid: arq.bound(requests[one.arq_uuid], one, state) for one in asked}
    after = _change(after, owner, lambda unit: dataclasses.replace(unit, work=owner[unit.uuid]))
    return Outcome(host=after, requests={**requests, **changed}, work=tuple(work.values()), chosen=chosen)


def units_of(
    host: inventory.Host, work: str
) -> Iterator[tuple[inventory.Device, inventory.Deployable, inventory.Accelerator]]:
    """The units that this work still owns; none when it was called off, or failed."""
    for device, part, unit in host.units():
        if unit.work == work and _is_worked_on(unit):
            yield device, part, unit


def prepared(host: inventory.Host, requests: Requests, work: Work, attached: Mapping[str, Info]) -> Outcome:
    """``attached`` by uuid of the unit, of those that their host was asked for."""
    units = _held_for(host, work)
    after = _change(
        host, units, lambda unit: dataclasses.replace(unit, work=None, attached=attached.get(unit.uuid, unit.attached))
    )
    return Outcome(host=after, requests=_changed(requests, units.values(), lambda one: arq.moved(one, arq.State.BOUND)))


def refused(host: inventory.Host, requests: Requests, work: Work, make_uuid: MakeUuid) -> Outcome:
    """The requests are what they were before the bind, project and all."""
    holders = set(_held_for(host, work).values())
    after, further = take_back(host, holders, make_uuid)
    return Outcome(
        host=after,
        requests=_changed(requests, holders, lambda one: arq.undone(one, work.former[one.uuid])),
        work=further,
    )


def failed(host: inventory.Host, requests: Requests, work: Work, fault: str, make_uuid: MakeUuid) -> Outcome:
    holders = set(_held_for(host, work).values())
    after, further = take_back(host, holders, make_uuid)
    return Outcome(
        host=after,
        requests=_changed(requests, holders, lambda one: arq.moved(one, arq.State.BIND_FAILED, fault)),
        work=further,
    )


def unbind(host: inventory.Host, requests: Requests, make_uuid: MakeUuid) -> Outcome:
    """Of all the requests, each in a state that Unbound may follow."""
    after, further = take_back(host, requests.keys(), make_uuid)
    return Outcome(host=after, requests={uuid: arq.unbound(one) for uuid, one in requests.items()}, work=further)


def delete(host: inventory.Host, requests: Requests, make_uuid: MakeUuid) -> Outcome:
    """Of all the requests, in any state."""
    after, further = take_back(host, requests.keys(), make_uuid)
    return Outcome(host=after, requests={}, work=further)


def cleaned(host: inventory.Host, work: str) -> inventory.Host:
    """A unit that reports lack is forgotten now."""
    mine = {unit.uuid for _, _, unit in units_of(host, work) if unit.holder is None}
    return choice.forget_missing(
        _change(host, mine, lambda unit: dataclasses.replace(unit, work=None, attached=None, quarantine=None))
    )


def quarantined(host: inventory.Host, work: str, why: str) -> inventory.Host:
    mine = {unit.uuid for _, _, unit in units_of(host, work) if unit.holder is None}
    return _change(host, mine, lambda unit: dataclasses.replace(unit, quarantine=why))


def clean_again(host: inventory.Host, device_uuid: str, make_uuid: MakeUuid) -> tuple[inventory.Host, tuple[Work, ...]]:
    """What is in quarantine on that device; a unit that reports lack is given up instead, and forgotten."""
    found = {
        unit.uuid: (device, unit)
        for device, _, unit in host.units()
        if device.uuid == device_uuid and unit.quarantine is not None and unit.holder is None
    }
    work = {uuid: _taking_back(host, device, unit, make_uuid) for uuid, (device, unit) in found.items()}
    work = {uuid: one for uuid, one in work.items() if not found[uuid][1].missing}

    def change(unit: inventory.Accelerator) -> inventory.Accelerator:
        return dataclasses.replace(unit, work=_uuid_of(work.get(unit.uuid)), quarantine=None)

    return choice.forget_missing(_change(host, found, change)), tuple(work.values())


def take_back(
    host: inventory.Host, holders: Collection[str], make_uuid: MakeUuid
) -> tuple[inventory.Host, tuple[Work, ...]]:
    """The host without those holders. A unit is free at once where nothing has to be done to it."""
    found = {unit.uuid: (device, unit) for device, _, unit in host.units() if unit.holder in holders}
    work = {
        uuid: _taking_back(host, device, unit, make_uuid)
        for uuid, (device, unit) in found.items()
        if _steps_back(device, unit)
    }

    def change(unit: inventory.Accelerator) -> inventory.Accelerator:
        return dataclasses.replace(unit, holder=None, counted=False, work=_uuid_of(work.get(unit.uuid)))

    return choice.forget_missing(_change(host, found, change)), tuple(work.values())


def must_prepare(device: inventory.Device, unit: inventory.Accelerator) -> bool:
    """Whether its host is asked before the unit is attached.

    Also for a unit that is there, while work goes on beside it on its card: that may be taking it away.
    """
    if Capability.PREPARES not in device.capabilities:
        return False
    return host_work.needs_preparation(unit.type, unit.info) or any(
        map(_is_worked_on, (other for _, other in device.accelerators()))
    )


def _is_worked_on(unit: inventory.Accelerator) -> bool:
    return unit.work is not None and unit.quarantine is None


def _any_to_prepare(host: inventory.Host, units: Collection[str]) -> bool:
    return any(unit.uuid in units and must_prepare(device, unit) for device, _, unit in host.units())


def _steps_back(device: inventory.Device, unit: inventory.Accelerator) -> tuple[host_work.Step, ...]:
    """What has to be done to the unit before somebody else may have it."""
    clean = Capability.CLEANS in device.capabilities
    made = unit.work is not None or unit.attached is not None
    release = made or (
        Capability.PREPARES in device.capabilities and (clean or host_work.needs_preparation(unit.type, unit.info))
    )
    return (host_work.Step.CLEAN,) * clean + (host_work.Step.RELEASE,) * release


def _taking_back(
    host: inventory.Host, device: inventory.Device, unit: inventory.Accelerator, make_uuid: MakeUuid
) -> Work:
    return Work(
        uuid=make_uuid(),
        kind=Kind.TAKE_BACK,
        hostname=host.name,
        subject=unit.uuid,
        steps=_steps_back(device, unit),
        ends=unit.work,
    )


def _uuid_of(work: Work | None) -> str | None:
    return None if work is None else work.uuid


def _held_for(host: inventory.Host, work: Work) -> dict[str, str]:
    """The holder by unit, of those that this work still owns."""
    return {unit.uuid: unit.holder for _, _, unit in units_of(host, work.uuid) if unit.holder is not None}


def _change(
    host: inventory.Host, units: Collection[str], change: Callable[[inventory.Accelerator], inventory.Accelerator]
) -> inventory.Host:
    return host.map_accelerators(lambda unit: change(unit) if unit.uuid in units else unit) if units else host


def _changed(requests: Requests, which: Collection[str], change: Callable[[arq.Arq], arq.Arq]) -> Requests:
    return {uuid: change(one) if uuid in which else one for uuid, one in requests.items()}
