# SPDX-License-Identifier: Apache-2.0
"""Providers below the compute node's: made or adopted when the view names one, retired when it does not any more.

A retired one loses its inventory at once (while somebody holds a unit, it is closed instead), and stays for the grace
time: nova-compute remembers the providers of its tree, and after one is deleted no server is built on that host until
it has read the tree anew. How long it has been retired is what Placement says of its last change, so nothing about it
has to be remembered anywhere else.

Ours is what carries the trait OWNER_CYBORG. Everything else in the tree belongs to somebody else and is left alone.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from oslo_log import log

from cyborg.domain import errors, view
from cyborg.domain.layout_nested import OWNER
from cyborg.domain.names import LONGEST_PROVIDER_NAME
from cyborg.placement.client import Refused
from cyborg.placement.providers import Node, Providers, Snapshot

LOG = log.getLogger(__name__)
KEEP = -1

Tree = Mapping[str, Node]


class Children:
    """``grace`` in seconds; KEEP deletes nothing. ``empty`` takes the inventory of a provider away, or closes it."""

    def __init__(self, providers: Providers, grace: int, empty: Callable[[Snapshot], Snapshot]) -> None:
        self._providers = providers
        self._grace = grace
        self._empty = empty
        self._due: dict[str, tuple[int, float]] = {}

    def ensure(self, wanted: view.Provider, tree: Tree) -> int:
        """The generation of the provider, which is made if it is not in the tree.

        Raises Conflict where somebody else has its name or uuid.
        """
        if wanted.uuid in tree:
            return tree[wanted.uuid].generation
        if wanted.name is None or wanted.parent_uuid is None:
            raise errors.NotFound(f"Placement has no resource provider {wanted.uuid}.")
        namesake = next((node for node in tree.values() if node.name == wanted.name), None)
        if namesake is not None:
            self._make_way(namesake)
        try:
            made = self._providers.create(wanted.uuid, wanted.name, wanted.parent_uuid)
        except Refused as exc:
            raise errors.Conflict(
                f"Resource provider {wanted.name} ({wanted.uuid}) cannot be made below {wanted.parent_uuid}: "
                f"{exc.message}"
            ) from exc
        LOG.info("Provider %s is made, with the uuid %s", wanted.name, wanted.uuid)
        return made.generation

    def retire(self, wanted: Iterable[view.Provider], tree: Tree) -> None:
        """Everything of ours in the tree that is not wanted."""
        kept = {provider.uuid for provider in wanted}
        gone = [node for node in tree.values() if node.uuid not in kept and node.parent_uuid is not None]
        for node in sorted(gone, key=lambda node: _depth(node, tree), reverse=True):
            snapshot = self._providers.read(node.uuid, node.generation)
            if OWNER not in snapshot.traits:
                continue
            after = self._empty(snapshot)
            if after != snapshot:
                LOG.info("Provider %s is retired", node.name)
            if not after.inventories:
                self._delete_after_grace(node, after)

    def ours(self, wanted: Iterable[view.Provider], tree: Tree) -> list[Node]:
        """The providers below the compute node's that are ours, wanted or retired."""
        named = {provider.uuid for provider in wanted}
        below = [node for node in tree.values() if node.parent_uuid is not None]
        return [
            node
            for node in below
            if node.uuid in named or OWNER in self._providers.read(node.uuid, node.generation).traits
        ]

    def _make_way(self, node: Node) -> None:
        """One of ours from another time, with another uuid, is retired under another name."""
        if OWNER not in self._providers.read(node.uuid, node.generation).traits:
            raise errors.Conflict(
                f"Resource provider {node.name} exists with the uuid {node.uuid} and is not ours ({OWNER} is missing). "
                "If Nova made it, take the card out of [pci] device_spec there, or out of our drivers; else delete it."
            )
        self._providers.rename(node, f"{node.name[: LONGEST_PROVIDER_NAME - len(node.uuid) - 1]}_{node.uuid}")

    def _delete_after_grace(self, node: Node, snapshot: Snapshot) -> None:
        if self._grace == KEEP:
            return
        generation, due = self._due.get(node.uuid, (None, 0.0))
        if generation != snapshot.generation:
            due = time.monotonic() + self._grace - self._providers.unchanged_for(node.uuid)
            self._due[node.uuid] = (snapshot.generation, due)
        if time.monotonic() < due:
            return
        try:
            self._providers.delete(node.uuid)
        except Refused as exc:
            LOG.debug("Provider %s stays: %s", node.name, exc.message)
        else:
            del self._due[node.uuid]
            LOG.info("Provider %s is deleted: it has been retired for %d seconds", node.name, self._grace)


def _depth(node: Node, tree: Tree) -> int:
    above = None if node.parent_uuid is None else tree.get(node.parent_uuid)
    return 0 if above is None else 1 + _depth(above, tree)
