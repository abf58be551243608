# SPDX-License-Identifier: Apache-2.0
"""What Placement should show for one host, worked out from the books alone.

In the ``compute_node`` layout one provider, the compute node's own, carries the inventory of one generic class
and the traits of its devices. Cards of every kind share both, so the traits do the steering: a trait is
shown only while a free, healthy, enabled accelerator stands behind it.

    books                                    view
    gpu  0000:3b:00.0   held by an ARQ       CUSTOM_ACCELERATOR  total 3, reserved 1
    fpga 0000:5e:00.0   free                 shown      CUSTOM_FPGA, CUSTOM_FPGA_INTEL, ...
    fpga 0000:af:00.0   disabled             withdrawn  CUSTOM_GPU, CUSTOM_GPU_NVIDIA, ...

Held accelerators are counted by the allocations of their consumers, so only units that nobody holds and
nobody may have are reserved. ``withdrawn`` names every trait of ours that must not be there now; any other trait
on the provider is somebody else's and stays.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cyborg.domain import inventory

GENERIC_CLASS = "CUSTOM_ACCELERATOR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Units of one class; ``total - reserved`` is what consumers hold or may still claim."""

    total: int
    reserved: int

    @property
    def usable(self) -> int:
        return self.total - self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Equal to what Placement shows of it, as far as it is ours. A class with total 0 must not be there."""

    uuid: str
    inventories: Mapping[str, Amount]
    traits: frozenset[str]
    withdrawn: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """``generation`` is the host's; a view with a higher one replaces one with a lower."""

    host: str
    generation: int
    providers: tuple[Provider, ...]


def view(host: inventory.Host) -> HostView:
    """The view of ``host``; without providers while its compute-node provider is not known yet."""
    providers = () if host.provider_uuid is None else (_compute_node(host, host.provider_uuid),)
    return HostView(host=host.name, generation=host.generation, providers=providers)


def _compute_node(host: inventory.Host, provider_uuid: str) -> Provider:
    total = reserved = 0
    shown: set[str] = set()
    for device, deployable, unit in host.units():
        state = device.state(unit)
        total += 1
        if state is inventory.AcceleratorState.FREE:
            shown |= deployable.traits
        elif unit.holder is None:
            reserved += 1
    return Provider(
        uuid=provider_uuid,
        inventories={GENERIC_CLASS: Amount(total=total, reserved=reserved)},
        traits=frozenset(shown),
        withdrawn=host.owned_traits - shown,
    )


def advance(before: inventory.Host, after: inventory.Host) -> inventory.Host:
    """``after``, with a higher generation when Placement should show something else than for ``before``."""
    if view(before).providers == view(after).providers:
        return after
    return dataclasses.replace(after, generation=before.generation + 1)


def trait_token(text: str) -> str:
    """``text`` as part of a trait: upper case, every run of other characters one underscore."""
    return re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")
