# SPDX-License-Identifier: Apache-2.0
"""plan(host, shape, ...): what a host with running allocations has to become to be shown in another shape.

An allocation says "two of the compute node", the books know which two. So each consumer's part in our classes is
replaced by one unit at the carrier of each accelerator that its requests hold; everything else of the allocation
(cores, memory, disk, other hosts) stays.

    allocation   compute-1: VCPU 4, CUSTOM_ACCELERATOR 2
    books        two requests of that server hold parts of compute-1_0000:3b:00.0 and compute-1_0000:5e:00.0
    nested       compute-1: VCPU 4; compute-1_0000:3b:00.0: CUSTOM_ACCELERATOR 1; compute-1_0000:5e:00.0: the same

It does not matter on which side an allocation is: what is where it has to be is no move, so a plan that was carried
out before, by a command that died, comes out empty.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from cyborg.domain import arq, inventory, layout_compute_node, names, report, view
from cyborg.domain.provider import classes_of, is_of_units
from cyborg.domain.shape import Layout, Shape

#: Amounts by class, by provider.
Allocations = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    consumer: str
    before: Allocations
    after: Allocations


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``carriers`` has the provider of each bound request; with ``problems`` nothing may be moved."""

    moves: tuple[Move, ...]
    carriers: Mapping[str, str]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An accelerator, by its part, and the request that holds it."""

    kind: report.DeviceType
    part: inventory.Deployable
    request: arq.Arq


def plan(
    host: inventory.Host, to: Shape, requests: Mapping[str, arq.Arq], allocations: Mapping[str, Allocations]
) -> Plan:
    """``requests`` by uuid are those that hold accelerators of ``host``, ``allocations`` by consumer all of its."""
    held = [
        Held(kind=device.type, part=part, request=requests[unit.holder])
        for device, part, unit in host.units()
        if unit.holder is not None and unit.holder in requests
    ]
    by_instance: defaultdict[str | None, list[Held]] = defaultdict(list)
    for one in held:
        by_instance[one.request.instance_uuid].append(one)
    ours = our_classes(host, to)
    moves: list[Move] = []
    problems: list[str] = []
    for consumer, before in sorted(allocations.items()):
        units = count_units(before, ours)
        if units is None:
            continue
        holding = by_instance[consumer]
        if units != len(holding):
            problems.append(
                f"consumer {consumer} has {units} accelerator(s) of host {host.name} allocated and {len(holding)} bound"
            )
            continue
        after = _moved(host, to, before, ours, holding)
        if after != before:
            moves.append(Move(consumer=consumer, before=before, after=after))
    carriers = {one.request.uuid: _carrier(host, to, one.part) for one in held}
    return Plan(moves=tuple(moves), carriers=carriers, problems=tuple(problems))


def our_classes(host: inventory.Host, to: Shape) -> dict[str, frozenset[str] | None]:
    """By each provider that carries accelerators now or in the shape ``to``: the classes that are ours; None: all."""
    root = frozenset[str]()
    for shape in (host.shape, to):
        if shape.layout is Layout.COMPUTE_NODE:
            root |= layout_compute_node.classes(dataclasses.replace(host, shape=shape))
    found: dict[str, frozenset[str] | None] = {str(host.provider_uuid): root | host.owned_classes}
    for device in host.devices:
        found |= {names.provider_uuid(part.name): None for part in device.deployables}
    return found


def _is_ours(ours: Mapping[str, frozenset[str] | None], provider: str, resource_class: str) -> bool:
    if provider not in ours:
        return False
    classes = ours[provider]
    return classes is None or resource_class in classes


def count_units(allocations: Allocations, ours: Mapping[str, frozenset[str] | None]) -> int | None:
    """Accelerators of ours that a consumer holds, each counted once, memory not; None when it has nothing of ours."""
    mine = [
        (name, amount)
        for provider, resources in allocations.items()
        for name, amount in resources.items()
        if _is_ours(ours, provider, name)
    ]
    return sum(amount for name, amount in mine if is_of_units(name)) if mine else None


def _moved(
    host: inventory.Host,
    to: Shape,
    before: Allocations,
    ours: Mapping[str, frozenset[str] | None],
    holding: Iterable[Held],
) -> dict[str, dict[str, int]]:
    after: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for provider, resources in before.items():
        for name, amount in resources.items():
            if not _is_ours(ours, provider, name):
                after[provider][name] += amount
    for one in holding:
        carrier = after[_carrier(host, to, one.part)]
        carrier.update(_classes(one, to))
        if to.layout is Layout.NESTED and one.part.memory_mib:
            carrier.update(one.request.group.memory)
    return {provider: dict(resources) for provider, resources in after.items()}


def _classes(held: Held, to: Shape) -> Collection[str]:
    """Of which the allocation gets one each; what counts a kind once more, only where the request named it."""
    own, *beside = classes_of(held.kind, held.part, to.naming)
    return {own, *held.request.group.counting.intersection(beside)}


def _carrier(host: inventory.Host, to: Shape, part: inventory.Deployable) -> str:
    return str(view.carrier(host.provider_uuid, to.layout, part.name))
