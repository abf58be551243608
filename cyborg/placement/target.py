# SPDX-License-Identifier: Apache-2.0
"""What one provider has to become, worked out from the view and from what it is now."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from cyborg.domain import view
from cyborg.placement.providers import Inventory, Snapshot

NOVA_TRAIT_PREFIX = "COMPUTE_"
NOVA_OWNER_TRAIT = "OWNER_NOVA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Classes that are not named stay as they are; None takes one away. ``traits`` are all of the provider.

    ``alike``: the traits are true of every unit, so they come before the units do.
    """

    inventories: Mapping[str, Inventory | None]
    traits: frozenset[str]
    alike: bool = False


def is_nova_managed(snapshot: Snapshot) -> bool:
    """True when nova-compute puts its own inventory there, and takes away what others put there."""
    return any(name.startswith(NOVA_TRAIT_PREFIX) or name == NOVA_OWNER_TRAIT for name in snapshot.traits)


def direct(snapshot: Snapshot, wanted: view.Provider) -> Target:
    """The provider is ours to write: exactly the view."""
    return Target(
        inventories={name: _written_by_us(amount) for name, amount in wanted.inventories.items()},
        traits=traits_showing(snapshot, wanted, wanted.traits),
    )


def whole(snapshot: Snapshot, wanted: view.Provider) -> Target:
    """The provider is ours alone: the view, and no class beside it."""
    ours = direct(snapshot, wanted)
    return Target(
        inventories={**dict.fromkeys(snapshot.inventories), **ours.inventories}, traits=ours.traits, alike=True
    )


def emptied(snapshot: Snapshot) -> Target:
    """The provider stays, and offers nothing."""
    return Target(inventories=dict.fromkeys(snapshot.inventories), traits=snapshot.traits)


def steered(snapshot: Snapshot, wanted: view.Provider, *, shown: bool) -> Target:
    """Nova writes the provider and we only say what it may use: ``reserved``, and traits when ``shown``."""
    return Target(
        inventories={
            name: _reserving(snapshot.inventories[name], amount.usable)
            for name, amount in wanted.inventories.items()
            if name in snapshot.inventories
        },
        traits=traits_showing(snapshot, wanted, wanted.traits if shown else frozenset()),
    )


def traits_showing(snapshot: Snapshot, wanted: view.Provider, shown: frozenset[str]) -> frozenset[str]:
    """All traits of the provider when ``shown`` are ours; those that are not ours stay."""
    return (snapshot.traits - wanted.traits - wanted.withdrawn) | shown


def _written_by_us(amount: view.Amount) -> Inventory | None:
    if not amount.total:
        return None
    return Inventory(total=amount.total, reserved=amount.reserved, max_unit=amount.max_unit or amount.total)


def _reserving(current: Inventory, usable: int) -> Inventory:
    return dataclasses.replace(current, reserved=current.total - min(usable, current.total))
