# SPDX-License-Identifier: Apache-2.0
"""What Placement shows of one host, as a value: for those who compare and do not write."""

from collections.abc import Iterable, Mapping

from cyborg.domain.audit_providers import Seen, SeenProvider
from cyborg.domain.provider import Amount
from cyborg.placement import target
from cyborg.placement.client import GenerationConflict, PlacementClient
from cyborg.placement.providers import Providers, Snapshot

ATTEMPTS = 5


class Surveyor:
    """Remembers what it saw. Not for two threads at once."""

    def __init__(self, client: PlacementClient) -> None:
        self._client = client
        self._providers = Providers(client)

    def look(self, root_uuid: str, ours: Mapping[str, frozenset[str] | None]) -> Seen:
        """The providers in ``ours`` (as `reshape.our_classes` gives it) that are in the tree, and who holds what there.

        One request for the tree and one for each provider; two more for one that has changed since the last look.
        """
        tree = self._providers.tree(root_uuid)
        seen: dict[str, SeenProvider] = {}
        consumers: dict[str, dict[str, dict[str, int]]] = {}
        for uuid in ours:
            if uuid not in tree:
                continue
            seen[uuid] = _seen(self._read(uuid, tree[uuid].generation))
            for consumer, resources in self._allocations(uuid).items():
                consumers.setdefault(consumer, {})[uuid] = resources
        return Seen(providers=seen, consumers=consumers)

    def ages(self, consumers: Iterable[str]) -> dict[str, float]:
        """Seconds since the allocations of each last changed."""
        return {uuid: self._client.unchanged_for(f"/allocations/{uuid}") for uuid in consumers}

    def _read(self, uuid: str, generation: int | None) -> Snapshot:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._providers.read(uuid, generation)
            except GenerationConflict:
                generation = None
        return self._providers.read(uuid)

    def _allocations(self, uuid: str) -> dict[str, dict[str, int]]:
        found = self._client.get(f"/resource_providers/{uuid}/allocations")["allocations"]
        return {consumer: dict(part["resources"]) for consumer, part in found.items()}


def _seen(snapshot: Snapshot) -> SeenProvider:
    return SeenProvider(
        inventories={
            name: Amount(total=one.total, reserved=one.reserved, max_unit=one.max_unit)
            for name, one in snapshot.inventories.items()
        },
        traits=snapshot.traits,
        managed=target.is_nova_managed(snapshot),
    )
