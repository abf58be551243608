# SPDX-License-Identifier: Apache-2.0
"""Layout ``nested``: one provider for each deployable, regions below their card, all below the compute node's.

    compute-1                              none of our classes, none of our traits
    ├── compute-1_0000:3b:00.0             CUSTOM_ACCELERATOR 1, CUSTOM_ACCELERATOR_MEMORY_GPU 40960, CUSTOM_GPU, ...
    └── compute-1_0000:5e:00.0             an FPGA card: parent of its regions, no inventory of its own
        └── compute-1_0000:5e:00.0_region0 CUSTOM_ACCELERATOR 1, CUSTOM_FPGA, ...

All units of a deployable are alike, so what Placement offers is exactly what there is. Traits can therefore stay:
they are true of every unit, and a provider on which nothing is left is full, whatever its traits are. What may not be
used (disabled, failed, missing) is ``reserved``; what is held is counted by its allocation. Nothing is withdrawn
but traits that the deployable itself does not have any more, such as those of another function after programming.

Each unit has its own memory. ``max_unit`` of the memory class is that of one unit, so that no request is offered a
card with less than it asks for, and reserved units take their memory with them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from cyborg.domain import inventory, names
from cyborg.domain.provider import GENERIC_CLASS, Amount, Provider, classes_of, is_withheld, memory_class
from cyborg.domain.shape import Naming

OWNER = "OWNER_CYBORG"


def providers(host: inventory.Host, provider_uuid: str) -> tuple[Provider, ...]:
    """The compute node's first, every other one after its parent."""
    root = Provider(
        uuid=provider_uuid,
        inventories=dict.fromkeys(sorted(host.owned_classes | {GENERIC_CLASS}), Amount(total=0)),
        traits=frozenset(),
        withdrawn=host.owned_traits,
    )
    withheld = Counter(part.uuid for device, part, unit in host.units() if is_withheld(device, unit))
    parts = (part for device in host.devices for part in _device(host, device, provider_uuid, withheld))
    return (root, *parts)


def _device(
    host: inventory.Host, device: inventory.Device, root_uuid: str, withheld: Mapping[str, int]
) -> Iterator[Provider]:
    by_key = {part.key: part for part in device.deployables}
    for part in sorted(device.deployables, key=lambda part: _depth(part, by_key)):
        parent = by_key.get(part.parent_key) if part.parent_key is not None else None
        traits = part.traits | {OWNER}
        yield Provider(
            uuid=names.provider_uuid(part.name),
            name=names.provider_name(part.name),
            parent_uuid=root_uuid if parent is None else names.provider_uuid(parent.name),
            inventories=_inventories(device, part, host.shape.naming, withheld.get(part.uuid, 0)),
            traits=traits,
            withdrawn=host.owned_traits - traits,
        )


def _depth(part: inventory.Deployable, by_key: Mapping[str, inventory.Deployable]) -> int:
    above = None if part.parent_key is None else by_key.get(part.parent_key)
    return 0 if above is None else 1 + _depth(above, by_key)


def _inventories(
    device: inventory.Device, part: inventory.Deployable, naming: Naming, reserved: int
) -> dict[str, Amount]:
    total = len(part.accelerators)
    amounts = dict.fromkeys(classes_of(device.type, part, naming), Amount(total=total, reserved=reserved))
    if part.memory_mib:
        amounts[memory_class(device.type)] = Amount(
            total=total * part.memory_mib, reserved=reserved * part.memory_mib, max_unit=part.memory_mib
        )
    return {name: amount for name, amount in amounts.items() if amount.total}
