# SPDX-License-Identifier: Apache-2.0
"""Layout ``compute_node``: the compute node's own provider carries the inventory and the traits of its devices.

Cards of every kind share both, so the traits do the steering: a trait is shown only while a free, healthy, enabled
accelerator stands behind it.

    books                                    view
    gpu  0000:3b:00.0   held by an ARQ       CUSTOM_ACCELERATOR  total 3, reserved 1
    fpga 0000:5e:00.0   free                 shown      CUSTOM_FPGA, CUSTOM_FPGA_INTEL, ...
    fpga 0000:af:00.0   disabled             withdrawn  CUSTOM_GPU, CUSTOM_GPU_NVIDIA, ...

Device-local memory is not shown here: the memory of one card would be offered with the traits of another.

With the naming ``counted``, CUSTOM_ACCELERATOR_GPU and the like count the units of a kind once more. What is held by a
request that did not name that class is reserved there: its allocation takes nothing of it.
"""

from collections import Counter

from cyborg.domain import inventory
from cyborg.domain.provider import GENERIC_CLASS, Amount, Provider, classes_of, is_withheld
from cyborg.domain.shape import Naming


def providers(host: inventory.Host, provider_uuid: str) -> tuple[Provider, ...]:
    total: Counter[str] = Counter()
    reserved: Counter[str] = Counter()
    shown: set[str] = set()
    for device, deployable, unit in host.units():
        name, *beside = classes_of(device.type, deployable, host.shape.naming)
        total.update((name, *beside))
        if is_withheld(device, unit):
            reserved.update((name, *beside))
        elif unit.holder is None:
            shown |= deployable.traits
        elif not unit.counted:
            reserved.update(beside)
    provider = Provider(
        uuid=provider_uuid,
        inventories={name: Amount(total=total[name], reserved=reserved[name]) for name in sorted(classes(host))},
        traits=frozenset(shown),
        withdrawn=host.owned_traits - shown,
    )
    return (provider,)


def classes(host: inventory.Host) -> frozenset[str]:
    """All that are, or were, shown on the compute node's provider for us."""
    naming = host.shape.naming
    now = {
        name for device in host.devices for part in device.deployables for name in classes_of(device.type, part, naming)
    }
    return host.owned_classes | now | (set() if naming is Naming.TYPED else {GENERIC_CLASS})
