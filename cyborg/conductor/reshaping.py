# SPDX-License-Identifier: Apache-2.0
"""Move a host with its running allocations to another shape in Placement; no server has to stop.

    1  books: the host is marked as moving           nobody else writes its providers any more
    2  Placement: what is free is taken off the market, and claims that are not bound yet are waited for
    3  Placement: inventory and allocations move in one step, nothing but what is held is offered there
    4  books: the new shape, the providers of the requests, the mark gone; in the transaction around 3
    5  the agent's next report opens what is free

A command that dies leaves the mark, and the host takes no new work. Run again it finishes: what Placement has moved
already is no move any more. With the former shape as its goal it goes back instead.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping

from cyborg.domain import arq, errors, inventory, reshape, view
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.placement.client import GenerationConflict
from cyborg.placement.mover import Consumer, Mover
from cyborg.store import arqs, hosts
from cyborg.store.engine import Store, Transaction

ATTEMPTS = 5
PAUSE = 0.5

Requests = Mapping[str, arq.Arq]


class Reshaper:
    """``say`` gets lines for the operator; ``patience`` is how long claims that are not bound are waited for."""

    def __init__(self, store: Store, mover: Mover, say: Callable[[str], None], *, patience: float = 30) -> None:
        self._store = store
        self._mover = mover
        self._say = say
        self._patience = patience

    def run(self, name: str, layout: Layout, naming: Naming | None = None, *, dry_run: bool = False) -> None:
        """May be repeated. Raises NotFound, Conflict with everything as it was, PlacementError or Unavailable."""
        host = self._load(name)
        if host.provider_uuid is None:
            raise errors.Conflict(f"The resource provider of host {name} is not known yet; its agent looks for it.")
        to = Shape(layout=layout, naming=naming or (host.moving_to or host.shape).naming)
        if host.shape == to and host.moving_to is None:
            self._say(f"Host {name} has {to} already.")
            return
        self._check_ceiling(host, to)
        if dry_run:
            self._describe(host, to)
            return
        self._mark(name, to)
        try:
            self._mover.close(reshape.our_classes(host, to), host.owned_traits)
            self._wait_for_claims(name, to)
            moved = self._move_retrying(name, to)
        except errors.Unavailable:
            self._say(f"Host {name} takes no new work until this command has been run again and ended well.")
            raise
        except errors.CyborgError:
            self._go_back(name)
            raise
        self._say(f"Host {name} has {to} now; {moved} allocation(s) moved.")
        self._say_what_is_left(host, to)

    def _load(self, name: str) -> inventory.Host:
        with self._store.transaction() as tx:
            return _load(tx, name)

    def _mark(self, name: str, to: Shape | None) -> None:
        def mark() -> None:
            with self._store.transaction() as tx:
                before = _load(tx, name)
                hosts.save(tx, before, view.advance(before, dataclasses.replace(before, moving_to=to)))

        self._store.retrying(mark)

    def _check_ceiling(self, host: inventory.Host, to: Shape) -> None:
        if to.layout is not Layout.COMPUTE_NODE:
            return
        root = view.providers(host, to)[0]
        missing = self._mover.lacks(root)
        if any(not name.startswith("CUSTOM_") for name in missing):
            raise errors.Conflict(
                f"nova-compute manages the provider of host {host.name} and can be asked to show CUSTOM_ classes only, "
                f"not {', '.join(missing)}. Use --naming generic, or the layout nested."
            )
        if missing:
            raise errors.Conflict(
                f"nova-compute manages the provider of host {host.name} and does not show enough of "
                f"{', '.join(missing)} there yet. On {host.name} set [placement] provider_layout = compute_node and "
                "restart cyborg-agent: it writes the provider config file and leaves the layout as it is. Then restart "
                "nova-compute there once, and run this command again."
            )

    def _survey(self, host: inventory.Host, to: Shape, requests: Requests) -> tuple[reshape.Plan, dict[str, Consumer]]:
        consumers = self._mover.consumers(reshape.our_classes(host, to))
        allocations = {uuid: consumer.allocations for uuid, consumer in consumers.items()}
        return reshape.plan(host, to, requests, allocations), consumers

    def _survey_now(self, name: str, to: Shape) -> tuple[inventory.Host, reshape.Plan]:
        with self._store.transaction() as tx:
            host = _load(tx, name)
            requests = arqs.get(tx, _holders(host))
        return host, self._survey(host, to, requests)[0]

    def _wait_for_claims(self, name: str, to: Shape) -> None:
        deadline = time.monotonic() + self._patience
        while problems := self._survey_now(name, to)[1].problems:
            if time.monotonic() >= deadline:
                raise errors.Conflict(
                    f"Host {name} cannot be moved: {'; '.join(problems)}. Allocations without requests are those of "
                    "servers that are being built, of evacuated servers, and of flavors that name our class without a "
                    "device profile. Delete those servers, or let their host come up, and run this command again."
                )
            time.sleep(PAUSE)

    def _move_retrying(self, name: str, to: Shape) -> int:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._mover.prepare(view.providers(self._load(name), to))
                return self._store.retrying(self._move, name, to)
            except GenerationConflict:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _move(self, name: str, to: Shape) -> int:
        """Placement and books under the locks of the requests and of the host; how many allocations moved."""
        expected = _holders(self._load(name))
        with self._store.transaction() as tx:
            requests = arqs.get(tx, expected, lock=True)
            before = _load(tx, name)
            if _holders(before) != expected:
                raise GenerationConflict(f"Host {name} changed while it was being moved. Run this command again.")
            plan, consumers = self._survey(before, to, requests)
            if plan.problems:
                raise errors.Conflict(f"Host {name} cannot be moved: {'; '.join(plan.problems)}.")
            self._mover.move(_targets(before, to), plan.moves, consumers)
            after = dataclasses.replace(before, shape=to, moving_to=None)
            hosts.save(tx, before, view.advance(before, after))
            arqs.set_providers(tx, plan.carriers)
            return len(plan.moves)

    def _go_back(self, name: str) -> None:
        """Take the mark away, unless a former run had Placement moved already."""
        host = self._load(name)
        if not self._survey_now(name, host.shape)[1].moves:
            self._mark(name, None)
            self._say(f"Host {name} keeps {host.shape}; the next report of its agent opens what is free.")

    def _describe(self, host: inventory.Host, to: Shape) -> None:
        _, plan = self._survey_now(host.name, to)
        self._say(f"Host {host.name} has {host.shape} and would get {to}.")
        for provider in view.providers(host, to):
            for resource_class, amount in provider.inventories.items():
                if amount.total:
                    where = provider.name or host.name
                    self._say(f"  {where}: {resource_class} total {amount.total}, reserved {amount.reserved}")
        for move in plan.moves:
            self._say(f"  allocation of {move.consumer} moves: {_text(move.before)} -> {_text(move.after)}")
        for problem in plan.problems:
            self._say(f"  in the way: {problem}")
        self._say("Nothing was changed.")

    def _say_what_is_left(self, host: inventory.Host, to: Shape) -> None:
        self._say(
            f"On {host.name} set [placement] provider_layout = {to.layout} and resource_class_naming = {to.naming}, if "
            "they are not, and restart cyborg-agent: a host without allocations goes back to what its options say."
        )
        if to.layout is Layout.NESTED and self._mover.is_nova_managed(str(host.provider_uuid)):
            self._say(
                f"nova-compute on {host.name} still shows our class, which is closed there. Do not remove the provider "
                "config file yourself: with that option cyborg-agent takes it away when nobody holds a unit there any "
                "more, and its log asks for one restart of nova-compute, at any time."
            )


def _load(tx: Transaction, name: str) -> inventory.Host:
    found = hosts.load(tx, name)
    if found is None:
        raise errors.NotFound(f"There is no host {name!r} with an agent; see the hostname of the devices.")
    return found


def _holders(host: inventory.Host) -> set[str]:
    return {unit.holder for _, _, unit in host.units() if unit.holder is not None}


def _targets(host: inventory.Host, to: Shape) -> tuple[view.Provider, ...]:
    """Every provider that carries accelerators before or after, offering what is held then and nothing else."""
    after = {provider.uuid: provider for provider in view.providers(view.closed(host), to)}
    before = (dataclasses.replace(provider, inventories={}) for provider in view.providers(host, host.shape)[1:])
    return (*after.values(), *(provider for provider in before if provider.uuid not in after))


def _text(allocations: reshape.Allocations) -> str:
    return ", ".join(
        f"{name} {amount} of {provider}"
        for provider, resources in sorted(allocations.items())
        for name, amount in sorted(resources.items())
    )
