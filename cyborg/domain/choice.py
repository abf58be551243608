# SPDX-License-Identifier: Apache-2.0
"""Which accelerator of a host each request gets: claim(host, wants). What follows from it is in `flow`.

The compute-node provider says only "this host"; the choice among its cards is ours. A nested provider says which
part it is, and only units of that part are candidates. It is all or none, deterministic, and strands least: a
request that many cards would serve takes the kind of which most are free, so the rare card stays for whoever needs it.

    free: gpu-a, gpu-b (two alike), fpga          any accelerator    -> gpu-a, not the only FPGA
    free: gpu-a, fpga      wants: any, an FPGA    -> gpu-a and fpga, whatever the order of the wants
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from cyborg.domain import errors, inventory, profile, report

#: What makes two accelerators interchangeable: the class and traits of their deployable.
Kind = tuple[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One accelerator for the request ``arq_uuid``, of the kind its group asks for, out of those ``parts``.

    ``parts`` are uuids of deployables; None: any of the host.
    """

    arq_uuid: str
    group: profile.Group
    parts: frozenset[str] | None = None

    def suits(self, candidate: "Candidate") -> bool:
        part = candidate.deployable
        return (
            (self.parts is None or part.uuid in self.parts)
            and self.group.matches(part)
            and self.group.is_content_with(candidate.kind_of_device, part.memory_mib)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    kind_of_device: report.DeviceType
    deployable: inventory.Deployable
    unit: inventory.Accelerator
    order: tuple[str, str, str]

    @property
    def kind(self) -> Kind:
        return self.deployable.resource_class, self.deployable.traits


def claim(host: inventory.Host, wants: Collection[Want]) -> tuple[inventory.Host, dict[str, inventory.Accelerator]]:
    """(the host with the accelerators held, accelerator by request); raises NoAccelerator and gives none."""
    chosen = choose(host, wants)
    groups = {want.arq_uuid: want.group for want in wants}
    held = {
        unit.uuid: dataclasses.replace(unit, holder=arq_uuid, counted=bool(groups[arq_uuid].counting))
        for arq_uuid, unit in chosen.items()
    }
    return host.map_accelerators(lambda unit: held.get(unit.uuid, unit)), chosen


def forget_missing(host: inventory.Host) -> inventory.Host:
    """Drop units that are missing and that nothing keeps, and then what is empty and gone with them."""
    devices = []
    for device in host.devices:
        parts = tuple(_without_missing(part) for part in device.deployables)
        if parts == device.deployables:
            devices.append(device)
        elif not device.absences or any(part.accelerators for part in parts):
            devices.append(dataclasses.replace(device, deployables=parts))
    return dataclasses.replace(host, devices=tuple(devices))


def _without_missing(part: inventory.Deployable) -> inventory.Deployable:
    units = tuple(unit for unit in part.accelerators if unit.is_kept or not unit.missing)
    return part if units == part.accelerators else dataclasses.replace(part, accelerators=units)


def choose(host: inventory.Host, wants: Iterable[Want]) -> dict[str, inventory.Accelerator]:
    """Accelerator by request, each free and matching, no accelerator twice; raises NoAccelerator."""
    free = _candidates(host)
    supply = Counter(candidate.kind for candidate in free)
    options = {
        want.arq_uuid: sorted(
            (candidate for candidate in free if want.suits(candidate)),
            key=lambda candidate: (-supply[candidate.kind], candidate.order),
        )
        for want in wants
    }
    taken: dict[str, str] = {}
    for arq_uuid in sorted(options, key=lambda uuid: (len(options[uuid]), uuid)):
        if not _place(arq_uuid, options, taken, set()):
            raise errors.NoAccelerator(_explain(host, len(options), len(options[arq_uuid])))
    units = {candidate.unit.uuid: candidate.unit for candidate in free}
    return {arq_uuid: units[unit_uuid] for unit_uuid, arq_uuid in taken.items()}


def _place(arq_uuid: str, options: Mapping[str, list[Candidate]], taken: dict[str, str], tried: set[str]) -> bool:
    """Give the request its best free option, moving earlier requests to their next where that makes room."""
    units = [candidate.unit.uuid for candidate in options[arq_uuid]]
    for unit in sorted(units, key=lambda unit: unit in taken):
        if unit in tried:
            continue
        tried.add(unit)
        if unit not in taken or _place(taken[unit], options, taken, tried):
            taken[unit] = arq_uuid
            return True
    return False


def _candidates(host: inventory.Host) -> list[Candidate]:
    return [
        Candidate(
            kind_of_device=device.type,
            deployable=deployable,
            unit=unit,
            order=(device.address, deployable.key, unit.key),
        )
        for device, deployable, unit in host.units()
        if device.state(unit) is inventory.AcceleratorState.FREE
    ]


def _explain(host: inventory.Host, wanted: int, matching: int) -> str:
    states = Counter(str(device.state(unit)) for device, _, unit in host.units())
    have = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none at all"
    return (
        f"Host {host.name} cannot serve {wanted} accelerator(s): {matching} free one(s) match one of the requests. "
        f"The host's accelerators: {have}."
    )
