# SPDX-License-Identifier: Apache-2.0
"""Give accelerators to requests: the story that everything else serves. How they come back is in `releasing`.

One call is one transaction, all of its requests or none. The rows of the requests are locked first, then the
row of the host; whoever holds the host's row decides alone, so a choice made in memory is still true when it is
saved. What must happen after the commit (telling Nova, working on the host) is an operation in the same commit.

Most binds are over with that. Where a unit has to be prepared by its host, the caller waits for it, but not for ever.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_config import cfg
from oslo_log import log

from cyborg import context
from cyborg.conductor import host_work
from cyborg.conductor.operations import Operation
from cyborg.conductor.owners import Owners
from cyborg.conductor.preparing import Preparing
from cyborg.conductor.telling import Telling, outcomes
from cyborg.domain import arq, choice, errors, flow, inventory, liveness, profile, reconcile, view, wire
from cyborg.domain.shape import Layout
from cyborg.rpc import messaging
from cyborg.store import arqs, hosts, operations
from cyborg.store.engine import Transaction

LOG = log.getLogger(__name__)


class BindingEndpoint:
    """RPC endpoint: bind."""

    def __init__(self, conf: cfg.ConfigOpts, means: host_work.Means, preparing: Preparing, telling: Telling) -> None:
        self._wait = conf.conductor.bind_wait
        self._owners = Owners.of(conf)
        self._means = means
        self._store = means.store
        self._preparing = preparing
        self._telling = telling

    @messaging.exposed
    def bind(self, ctxt: context.RequestContext, bindings: list[Any]) -> None:
        """Bind all or none; a bind that cannot be is refused here and now, with everything as it was.

        Returns when all are Bound, or when a host has been preparing one of them for as long as callers wait.
        """
        wanted = [wire.from_wire(arq.Binding, item) for item in bindings]
        unnamed = {one.instance_uuid for one in wanted if one.project_id is None}
        owners = self._owners.projects(ctxt, unnamed)
        changed, work = self._store.retrying(self._bind, wanted, owners)
        on_hosts = [one.uuid for one in work if one.kind == flow.Kind.PREPARE]
        self._preparing.waiting.begin(on_hosts)
        self._means.operations.wake(work)
        self._means.announcer.announce(changed)
        if on_hosts:
            self._preparing.waiting.outcome(on_hosts, self._wait)
            self._check_outcome(wanted)

    def _bind(
        self, bindings: Sequence[arq.Binding], owners: Mapping[str, str]
    ) -> tuple[list[inventory.Host], list[Operation]]:
        with self._store.transaction() as tx:
            stored = arqs.get(tx, [binding.arq_uuid for binding in bindings], lock=True)
            todo = [_owned(binding, owners) for binding in bindings if not _bound_so(stored, binding)]
            for instance, hostname in sorted({(one.instance_uuid, one.hostname) for one in todo}):
                arqs.hold_instance(tx, instance, hostname)
            changed, after, work = [], dict(stored), list[flow.Work]()
            for hostname in sorted({one.hostname for one in todo}):
                host, outcome = self._claim(tx, hostname, [one for one in todo if one.hostname == hostname], stored)
                changed.append(host)
                after |= outcome.requests
                work += outcome.work
            rows = [*self._means.rows(work), *self._store_states(tx, todo, after)]
            operations.add(tx, rows)
            return changed, rows

    def _claim(
        self, tx: Transaction, hostname: str, bindings: Sequence[arq.Binding], stored: Mapping[str, arq.Arq]
    ) -> tuple[inventory.Host, flow.Outcome]:
        before = hosts.load(tx, hostname)
        if before is None:
            raise errors.NotFound(f"There is no host {hostname!r} with an agent; see the hostname of the devices.")
        liveness.refuse_down(before, datetime.datetime.now(datetime.UTC), self._means.patience)
        for one in bindings:
            _check_programming(stored[one.arq_uuid])
        wants = [
            choice.Want(arq_uuid=one.arq_uuid, group=stored[one.arq_uuid].group, parts=_carried_parts(before, one))
            for one in bindings
        ]
        requests = {one.arq_uuid: stored[one.arq_uuid] for one in bindings}
        outcome = flow.bind(before, requests, bindings, wants, reconcile.new_uuid)
        for arq_uuid, unit in outcome.chosen.items():
            LOG.info("Request %s gets accelerator %s (%s) of %s", arq_uuid, unit.uuid, unit.key, hostname)
        return host_work.save(tx, before, outcome.host), outcome

    def _store_states(
        self, tx: Transaction, bindings: Sequence[arq.Binding], after: Mapping[str, arq.Arq]
    ) -> list[Operation]:
        """Bound, or BindStarted; Nova is told of those that are bound."""
        for state in sorted({after[one.arq_uuid].state for one in bindings}):
            into = [one for one in bindings if after[one.arq_uuid].state is state]
            if arqs.bind(tx, into, state=state) != len(into):
                raise errors.WrongState("A request changed while it was being bound. Read it again and retry.")
        ready = [after[one.arq_uuid] for one in bindings if after[one.arq_uuid].state is arq.State.BOUND]
        return self._telling.of(outcomes(ready), completed=True)

    def _check_outcome(self, bindings: Sequence[arq.Binding]) -> None:
        """A failure, or that the requests are gone, is for the caller to know, whoever decided on it."""
        uuids = [one.arq_uuid for one in bindings]
        with self._store.reading() as tx:
            found = arqs.get(tx, uuids)
        for uuid in uuids:
            request = found.get(uuid)
            if request is None or request.state not in arq.HOLDING:
                now = "was deleted" if request is None else f"is {request.state}"
                fault = request.fault if request is not None and request.fault else "It was taken back meanwhile."
                raise errors.Conflict(f"Request {uuid} {now} before it was bound. {fault}")


def _bound_so(stored: Mapping[str, arq.Arq], binding: arq.Binding) -> bool:
    """Whether exactly this was done, or begun, before (a repeat is no error); raises when it can never be done."""
    request = stored.get(binding.arq_uuid)
    if request is None:
        raise errors.NotFound(f"There is no accelerator request {binding.arq_uuid}.")
    same = (request.hostname, request.device_rp_uuid, request.instance_uuid) == (
        binding.hostname,
        binding.device_rp_uuid,
        binding.instance_uuid,
    )
    if request.state in arq.HOLDING and same and binding.project_id in (None, request.project_id):
        return True
    if request.state not in arq.BINDABLE:
        raise errors.WrongState(f"Request {request.uuid} is {request.state}; only Initial or Unbound can be bound.")
    return False


def _owned(binding: arq.Binding, owners: Mapping[str, str]) -> arq.Binding:
    """With the project of its server, where the caller named none and it is known."""
    if binding.project_id is not None:
        return binding
    return dataclasses.replace(binding, project_id=owners.get(binding.instance_uuid))


def _check_programming(request: arq.Arq) -> None:
    wanted = sorted(profile.PROGRAMMING & request.group.accel.keys())
    if wanted:
        raise errors.Conflict(
            f"Request {request.uuid} asks for {', '.join(f'accel:{name}' for name in wanted)}, which would have to be "
            "programmed first; this release cannot. Ask for the accel:function_id of a region that has it already."
        )


def _carried_parts(host: inventory.Host, binding: arq.Binding) -> frozenset[str]:
    """The deployables that the provider of the binding stands for: those it carries itself."""
    if host.provider_uuid is None:
        raise errors.Conflict(f"The resource provider of host {host.name} is not known yet; its agent looks for it.")
    parts = view.parts_of(host, binding.device_rp_uuid)
    if not parts and binding.device_rp_uuid != host.provider_uuid:
        raise errors.NotFound(
            f"Resource provider {binding.device_rp_uuid} is none of host {host.name}, whose accelerators are shown on "
            f"{_providers(host)}."
        )
    return parts


def _providers(host: inventory.Host) -> str:
    if host.shape.layout is Layout.COMPUTE_NODE:
        return str(host.provider_uuid)
    return f"the providers below {host.provider_uuid}"
