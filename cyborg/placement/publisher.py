# SPDX-License-Identifier: Apache-2.0
"""Make Placement equal to a view: compare, then the fewest calls.

    publisher = Publisher(client, conf)
    publisher.publish(view)         # again after any crash, or after somebody else changed something: repaired

Nothing may be scheduled on what is not there yet or any more, so providers and traits that go are taken away first,
then the inventory changes, and traits that come are shown last; where all units are alike, traits are right before
anything is offered. A view that holds already costs one read, whatever its layout: the list of the tree has the
generation of every provider, and one with the generation of our last look is as it was.
"""

import dataclasses
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus

from oslo_config import cfg
from oslo_log import log

from cyborg import crash
from cyborg.conf import placement as options
from cyborg.domain import errors, view
from cyborg.domain.shape import Layout
from cyborg.placement import target
from cyborg.placement.children import Children
from cyborg.placement.client import GenerationConflict, PlacementClient, Refused
from cyborg.placement.nova_managed import NovaManaged
from cyborg.placement.providers import Inventory, Node, Providers, Snapshot

LOG = log.getLogger(__name__)
ATTEMPTS = 8
LONGEST_PAUSE = 0.1


class Publisher:
    """Not for two threads at once."""

    def __init__(self, client: PlacementClient, conf: cfg.ConfigOpts) -> None:
        self._providers = Providers(client)
        self._owner: str = conf[options.GROUP].inventory_owner
        self._nova = NovaManaged(conf)
        self._children = Children(self._providers, conf[options.GROUP].provider_grace_time, self._empty)
        self._written: dict[str, Mapping[str, Inventory | None]] = {}
        self._refused_ownership = False

    def find_provider(self, names: Sequence[str]) -> str | None:
        """The uuid of the first provider that has one of the names."""
        return next((uuid for uuid in map(self._providers.find, names) if uuid), None)

    def publish(self, wanted: view.HostView) -> None:
        """Idempotent. Raises NotFound when the compute node's provider is not there, PlacementError, or Unavailable.

        One provider that cannot be made equal does not keep the others back.
        """
        if not wanted.providers:
            return
        crash.point("publisher.before_publish")
        root = wanted.providers[0]
        tree = self._tree(root)
        trouble: list[errors.CyborgError] = []
        with _collected(trouble):
            self._children.retire(wanted.providers, tree)
        if trouble and wanted.shape.layout is Layout.COMPUTE_NODE:
            # What stayed open below the compute node's provider would be offered on it a second time.
            raise trouble[0]
        for provider in wanted.providers:
            with _collected(trouble):
                generation = self._children.ensure(provider, tree)
                self._retrying(provider.uuid, generation, partial(self._make_equal, wanted, provider))
        crash.point("publisher.after_publish")
        if trouble:
            raise trouble[0]

    def is_idle(self, shown: view.HostView) -> bool:
        """Whether nobody holds anything of ours on the host, as far as Placement knows."""
        if not shown.providers:
            return True
        root = shown.providers[0]
        tree = self._tree(root)
        ours = {node.uuid: None for node in self._children.ours(shown.providers, tree)}
        return not any(
            units
            for uuid, classes in {root.uuid: root.inventories, **ours}.items()
            for name, units in self._providers.usages(uuid).items()
            if classes is None or name in classes
        )

    def _tree(self, root: view.Provider) -> Mapping[str, Node]:
        tree = self._providers.tree(root.uuid)
        if root.uuid not in tree:
            self._providers.forget(root.uuid)
            raise errors.NotFound(f"Placement has no resource provider {root.uuid}.")
        return tree

    def _empty(self, snapshot: Snapshot) -> Snapshot:
        return self._retrying(
            snapshot.uuid, snapshot.generation, lambda before: self._apply(before, target.emptied(before))
        )

    def _retrying(self, uuid: str, generation: int, make: Callable[[Snapshot], Snapshot]) -> Snapshot:
        known: int | None = generation
        attempt = 1
        while True:
            try:
                return make(self._providers.read(uuid, known))
            except errors.CyborgError as exc:
                self._providers.forget(uuid)
                if attempt == ATTEMPTS or not _may_pass(exc, attempt):
                    raise
            known = None
            attempt += 1
            time.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311  spreads writers, guards nothing

    def _make_equal(self, whole: view.HostView, wanted: view.Provider, before: Snapshot) -> Snapshot:
        after = self._apply(before, self._target(whole, before, wanted))
        if after != before:
            LOG.info("Provider %s: %s", wanted.name or whole.host, _difference(before, after))
        return after

    def _target(self, whole: view.HostView, snapshot: Snapshot, wanted: view.Provider) -> target.Target:
        if wanted.name is not None:
            return target.whole(snapshot, wanted)
        name = whole.host
        managed = target.is_nova_managed(snapshot)
        if managed and self._owner == "cyborg" and not self._refused_ownership:
            self._refused_ownership = True
            LOG.error(
                "[%s] inventory_owner = cyborg is refused: nova-compute manages provider %s. Set it to auto or nova.",
                options.GROUP,
                name,
            )
        if managed or self._owner == "nova":
            if whole.shape.layout is Layout.NESTED:
                return self._nova.target_beside_children(whole, snapshot, self._providers.usages)
            return self._nova.target(name, snapshot, wanted, self._written_before_nova_came(snapshot))
        ours = target.direct(snapshot, wanted)
        self._written[wanted.uuid] = ours.inventories
        return ours

    def _written_before_nova_came(self, snapshot: Snapshot) -> list[str]:
        """Classes that we wrote in the moment between Nova's making the provider and its putting traits there.

        What Nova writes itself differs from what we write in ``max_unit`` at least.
        """
        return [
            resource_class
            for resource_class, written in self._written.get(snapshot.uuid, {}).items()
            if written
            and (current := snapshot.inventories.get(resource_class))
            and dataclasses.replace(current, reserved=written.reserved) == written
        ]

    def _apply(self, snapshot: Snapshot, wanted: target.Target) -> Snapshot:
        changes = self._changes(snapshot, wanted.inventories)
        remaining = wanted.traits if wanted.alike else snapshot.traits & wanted.traits
        if changes and remaining != snapshot.traits:
            snapshot = self._providers.set_traits(snapshot, remaining)
        for resource_class, inventory in changes.items():
            if inventory is None:
                snapshot = self._providers.remove_inventory(snapshot, resource_class)
            else:
                snapshot = self._providers.set_inventory(snapshot, resource_class, inventory)
        if snapshot.traits != wanted.traits:
            snapshot = self._providers.set_traits(snapshot, wanted.traits)
        return snapshot

    def _changes(self, snapshot: Snapshot, wanted: Mapping[str, Inventory | None]) -> dict[str, Inventory | None]:
        changes = {}
        for resource_class, inventory in wanted.items():
            current = snapshot.inventories.get(resource_class)
            if inventory is None and current and self._providers.usages(snapshot.uuid).get(resource_class):
                # It cannot be taken away while somebody holds a unit, but closed.
                inventory = dataclasses.replace(current, reserved=current.total)  # noqa: PLW2901
            if inventory != current:
                changes[resource_class] = inventory
        return changes


@contextmanager
def _collected(trouble: list[errors.CyborgError]) -> Iterator[None]:
    """What keeps one provider from being made equal is said at the end; without Placement there is nothing to go on."""
    try:
        yield
    except errors.Unavailable:
        raise
    except errors.CyborgError as exc:
        trouble.append(exc)


def _may_pass(exc: errors.CyborgError, attempt: int) -> bool:
    """Whether trying again at once can help.

    So does a first 400: a trait that was known to exist can have been deleted by somebody since.
    """
    if isinstance(exc, GenerationConflict):
        return True
    return attempt == 1 and isinstance(exc, Refused) and exc.status == HTTPStatus.BAD_REQUEST


def _difference(before: Snapshot, after: Snapshot) -> str:
    """For the log, such as ``CUSTOM_ACCELERATOR total 3 reserved 1; traits +CUSTOM_GPU``."""
    parts = [
        f"{name} total {inventory.total} reserved {inventory.reserved}"
        for name, inventory in sorted(after.inventories.items())
        if before.inventories.get(name) != inventory
    ]
    parts += [f"{name} removed" for name in sorted(set(before.inventories) - set(after.inventories))]
    changed = [f"+{name}" for name in sorted(after.traits - before.traits)]
    changed += [f"-{name}" for name in sorted(before.traits - after.traits)]
    return "; ".join([*parts, *(["traits " + " ".join(changed)] if changed else [])])
