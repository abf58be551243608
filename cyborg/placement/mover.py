# SPDX-License-Identifier: Apache-2.0
"""Inventory and allocations moved between providers in one step of Placement's (POST /reshaper)."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from cyborg.domain import errors, reshape, view
from cyborg.placement import target
from cyborg.placement.children import Children
from cyborg.placement.client import GenerationConflict, PlacementClient, Refused
from cyborg.placement.providers import Inventory, Node, Providers, Snapshot

T = TypeVar("T")
#: Members of a consumer that go back as they came.
KEPT = ("project_id", "user_id", "consumer_generation", "consumer_type")
ATTEMPTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """Who holds what, and the members that Placement wants to have back."""

    allocations: reshape.Allocations
    record: Mapping[str, Any]


class Mover:
    """For a command; not for two threads at once."""

    def __init__(self, client: PlacementClient) -> None:
        self._client = client
        self._providers = Providers(client)
        self._children = Children(self._providers, -1, lambda snapshot: snapshot)

    def consumers(self, ours: Mapping[str, frozenset[str] | None]) -> dict[str, Consumer]:
        """Everybody who holds something of ours, by consumer; ``ours`` as `reshape.our_classes` gives it."""
        found: dict[str, Consumer] = {}
        for provider in self._present(ours):
            classes = ours[provider]
            answer = self._client.get(f"/resource_providers/{provider}/allocations")["allocations"]
            for consumer, part in answer.items():
                if consumer not in found and (classes is None or classes & set(part["resources"])):
                    found[consumer] = self._consumer(consumer)
        return found

    def close(self, ours: Mapping[str, frozenset[str] | None], traits: frozenset[str]) -> None:
        """Nothing of ours can be claimed any more, what is held stays; ``traits`` are withdrawn where we are guests."""
        for provider, classes in self._present(ours).items():
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._close(provider, classes, frozenset() if classes is None else traits)
                    break
                except GenerationConflict:
                    if attempt == ATTEMPTS:
                        raise

    def prepare(self, wanted: Sequence[view.Provider]) -> None:
        """Make the providers that are missing below the compute node's, with their traits and without inventory."""
        tree = self._tree(wanted)
        for provider in wanted:
            if provider.name is None:
                continue
            snapshot = self._providers.read(provider.uuid, self._children.ensure(provider, tree))
            traits = target.whole(snapshot, provider).traits
            if traits != snapshot.traits:
                self._providers.set_traits(snapshot, traits)

    def lacks(self, root: view.Provider) -> list[str]:
        """Classes of which nova-compute shows less on the provider that it manages than ``root`` offers."""
        snapshot = self._providers.read(root.uuid)
        if not target.is_nova_managed(snapshot):
            return []
        none = Inventory(total=0)
        return [
            name
            for name, amount in sorted(root.inventories.items())
            if amount.usable > snapshot.inventories.get(name, none).total
        ]

    def is_nova_managed(self, uuid: str) -> bool:
        return target.is_nova_managed(self._providers.read(uuid))

    def move(
        self, wanted: Sequence[view.Provider], moves: Iterable[reshape.Move], consumers: Mapping[str, Consumer]
    ) -> None:
        """All or nothing: ``wanted`` get their inventory, and the allocations go there.

        Providers that are to have some must be there, the compute node's is the first one. Raises GenerationConflict
        when one of them, or a consumer, changed meanwhile.
        """
        there = self._present({provider.uuid: provider for provider in wanted})
        if absent := [one.name for one in wanted if one.uuid not in there and one.inventories]:
            raise GenerationConflict(f"Resource providers are gone that were there just now: {absent}.")
        body = {
            "inventories": {uuid: self._inventories(provider) for uuid, provider in there.items()},
            "allocations": {
                move.consumer: {
                    **consumers[move.consumer].record,
                    "allocations": {
                        provider: {"resources": dict(resources)} for provider, resources in move.after.items()
                    },
                }
                for move in moves
            },
        }
        for provider in wanted:
            self._providers.ensure_classes(provider.inventories)
        try:
            self._client.post("/reshaper", body)
        except Refused as exc:
            if exc.status != HTTPStatus.FORBIDDEN:
                raise
            raise errors.PlacementError(
                "Placement lets only services move allocations, and the user in [placement] is none. Give it the "
                "role 'service' in its project (openstack role add), and run this command again."
            ) from exc
        for provider in wanted:
            self._providers.forget(provider.uuid)

    def _inventories(self, wanted: view.Provider) -> dict[str, Any]:
        """All classes that the provider has afterwards: one that is shared keeps those of the others."""
        snapshot = self._providers.read(wanted.uuid)
        becomes = _becomes(snapshot, wanted)
        kept = {name: inventory for name, inventory in snapshot.inventories.items() if name not in becomes.inventories}
        after = kept | {name: inventory for name, inventory in becomes.inventories.items() if inventory is not None}
        return {
            "resource_provider_generation": snapshot.generation,
            "inventories": {name: dataclasses.asdict(inventory) for name, inventory in after.items()},
        }

    def _close(self, uuid: str, classes: frozenset[str] | None, traits: frozenset[str]) -> None:
        snapshot = self._providers.read(uuid)
        if snapshot.traits & traits:
            snapshot = self._providers.set_traits(snapshot, snapshot.traits - traits)
        for name, inventory in snapshot.inventories.items():
            if (classes is None or name in classes) and inventory.reserved != inventory.total:
                closed = dataclasses.replace(inventory, reserved=inventory.total)
                snapshot = self._providers.set_inventory(snapshot, name, closed)

    def _consumer(self, uuid: str) -> Consumer:
        answer = self._client.get(f"/allocations/{uuid}")
        return Consumer(
            allocations={provider: dict(part["resources"]) for provider, part in answer["allocations"].items()},
            record={name: answer[name] for name in KEPT if name in answer},
        )

    def _present(self, by_uuid: Mapping[str, T]) -> dict[str, T]:
        """Those that are in the tree of the first one, which is the compute node's."""
        tree = self._providers.tree(next(iter(by_uuid), ""))
        return {uuid: value for uuid, value in by_uuid.items() if uuid in tree}

    def _tree(self, wanted: Sequence[view.Provider]) -> Mapping[str, Node]:
        tree = self._providers.tree(wanted[0].uuid)
        if wanted[0].uuid not in tree:
            raise errors.NotFound(f"Placement has no resource provider {wanted[0].uuid}.")
        return tree


def _becomes(snapshot: Snapshot, wanted: view.Provider) -> target.Target:
    if wanted.name is not None:
        return target.whole(snapshot, wanted)
    if target.is_nova_managed(snapshot):
        return target.steered(snapshot, wanted, shown=False)
    return target.direct(snapshot, wanted)
