# SPDX-License-Identifier: Apache-2.0
"""Resource providers as values: read one, change one thing of it, get the new value.

    before = providers.read(uuid)                                # 1 request when nothing changed, else 2
    after = providers.set_traits(before, before.traits | {"CUSTOM_GPU"})

Each change carries the generation that was read, so it fails with GenerationConflict instead of undoing what
somebody else did in between.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib import parse

from cyborg.domain import errors
from cyborg.placement.client import GenerationConflict, PlacementClient, Refused

UNLIMITED = 2147483647
CUSTOM_PREFIX = "CUSTOM_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """One class of one provider, as Placement has it; the defaults are Placement's."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = UNLIMITED
    step_size: int = 1
    allocation_ratio: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One provider at one generation."""

    uuid: str
    generation: int
    inventories: Mapping[str, Inventory]
    traits: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One provider of a tree, as the list shows it."""

    uuid: str
    name: str
    generation: int
    parent_uuid: str | None


class Providers:
    """Not for two threads at once.

    Remembers the last snapshot of each provider, which holds as long as the generation does, and the names that are
    known to exist.
    """

    def __init__(self, client: PlacementClient) -> None:
        self._client = client
        self._last: dict[str, Snapshot] = {}
        self._names: set[str] = set()

    def find(self, name: str) -> str | None:
        """The uuid of the provider of that name."""
        found = self._client.get(f"/resource_providers?{parse.urlencode({'name': name})}")["resource_providers"]
        return str(found[0]["uuid"]) if found else None

    def tree(self, uuid: str) -> dict[str, Node]:
        """All providers of the tree that ``uuid`` is in, by uuid; none when it is not there. One request."""
        found = self._client.get(f"/resource_providers?{parse.urlencode({'in_tree': uuid})}")["resource_providers"]
        return {
            one["uuid"]: Node(
                uuid=one["uuid"],
                name=one["name"],
                generation=one["generation"],
                parent_uuid=one["parent_provider_uuid"],
            )
            for one in found
        }

    def read(self, uuid: str, generation: int | None = None) -> Snapshot:
        """The provider now; raises NotFound, or GenerationConflict when it changed between the two requests.

        ``generation`` is the present one where that is known: no request when the last snapshot is of it.
        """
        last = self._last.get(uuid)
        if last is not None and last.generation == generation:
            return last
        try:
            answer = self._client.get(f"/resource_providers/{uuid}/inventories")
        except Refused as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise
            self.forget(uuid)
            raise errors.NotFound(f"Placement has no resource provider {uuid}.") from exc
        generation = answer["resource_provider_generation"]
        snapshot = Snapshot(
            uuid=uuid,
            generation=generation,
            inventories={name: _inventory(fields) for name, fields in answer["inventories"].items()},
            traits=last.traits if last and last.generation == generation else self._traits(uuid, generation),
        )
        return self._remember(snapshot)

    def usages(self, uuid: str) -> Mapping[str, int]:
        """Units that consumers hold, by class; always asked for, because a release leaves the generation as it is."""
        return dict(self._client.get(f"/resource_providers/{uuid}/usages")["usages"])

    def create(self, uuid: str, name: str, parent_uuid: str) -> Snapshot:
        """A new provider, with nothing on it; raises Refused when uuid or name is taken anywhere in the cloud."""
        body = {"uuid": uuid, "name": name, "parent_provider_uuid": parent_uuid}
        answer = self._client.post("/resource_providers", body)
        return self._remember(Snapshot(uuid=uuid, generation=answer["generation"], inventories={}, traits=frozenset()))

    def rename(self, node: Node, name: str) -> None:
        body = {"name": name, "parent_provider_uuid": node.parent_uuid}
        self._client.put(f"/resource_providers/{node.uuid}", body)

    def delete(self, uuid: str) -> None:
        """Raises Refused while somebody holds something of it, or while it has children."""
        self._client.delete(f"/resource_providers/{uuid}")
        self.forget(uuid)

    def unchanged_for(self, uuid: str) -> float:
        """Seconds since its inventory, traits or allocations last changed."""
        return self._client.unchanged_for(f"/resource_providers/{uuid}")

    def set_inventory(self, before: Snapshot, resource_class: str, inventory: Inventory) -> Snapshot:
        """Add or replace one class; the other classes are not touched."""
        body = dataclasses.asdict(inventory) | {"resource_provider_generation": before.generation}
        path = f"/resource_providers/{before.uuid}/inventories"
        if resource_class in before.inventories:
            answer = self._client.put(f"{path}/{resource_class}", body)
        else:
            self._ensure_class(resource_class)
            answer = self._client.post(path, body | {"resource_class": resource_class})
            # Placement does not compare the generation when a class is added.
            if answer["resource_provider_generation"] != before.generation + 1:
                raise GenerationConflict(f"Resource provider {before.uuid} changed while {resource_class} was added.")
        return self._remember(
            dataclasses.replace(
                before,
                generation=answer["resource_provider_generation"],
                inventories={**before.inventories, resource_class: inventory},
            )
        )

    def remove_inventory(self, before: Snapshot, resource_class: str) -> Snapshot:
        """Without that class; raises GenerationConflict also when somebody holds a unit of it by now."""
        self._client.delete(f"/resource_providers/{before.uuid}/inventories/{resource_class}")
        return self.read(before.uuid)

    def set_traits(self, before: Snapshot, traits: frozenset[str]) -> Snapshot:
        """With exactly these traits; those that Placement does not know are made."""
        self._ensure_traits(traits - before.traits)
        body = {"traits": sorted(traits), "resource_provider_generation": before.generation}
        answer = self._client.put(f"/resource_providers/{before.uuid}/traits", body)
        generation = answer["resource_provider_generation"]
        return self._remember(dataclasses.replace(before, generation=generation, traits=traits))

    def forget(self, uuid: str) -> None:
        """Take nothing for granted any more: not of this provider, and not which names exist."""
        self._last.pop(uuid, None)
        self._names.clear()

    def _remember(self, snapshot: Snapshot) -> Snapshot:
        self._last[snapshot.uuid] = snapshot
        return snapshot

    def _traits(self, uuid: str, generation: int) -> frozenset[str]:
        answer = self._client.get(f"/resource_providers/{uuid}/traits")
        if answer["resource_provider_generation"] != generation:
            raise GenerationConflict(f"Resource provider {uuid} changed while it was read.")
        return frozenset(answer["traits"])

    def ensure_classes(self, names: Iterable[str]) -> None:
        """Make those classes of ours that Placement does not know."""
        for name in names:
            self._ensure_class(name)

    def _ensure_class(self, name: str) -> None:
        if name.startswith(CUSTOM_PREFIX) and name not in self._names:
            self._client.put(f"/resource_classes/{name}")
            self._names.add(name)

    def _ensure_traits(self, traits: Collection[str]) -> None:
        unknown = set(traits) - self._names
        if not unknown:
            return
        query = parse.urlencode({"name": "in:" + ",".join(sorted(unknown))})
        existing = self._client.get(f"/traits?{query}")["traits"]
        for name in sorted(unknown.difference(existing)):
            self._client.put(f"/traits/{name}")
        self._names |= unknown


def _inventory(fields: Mapping[str, Any]) -> Inventory:
    return Inventory(**{field.name: fields[field.name] for field in dataclasses.fields(Inventory)})
