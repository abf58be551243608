# SPDX-License-Identifier: Apache-2.0
"""Give accelerators to requests and take them back: the story that everything else serves.

One call is one transaction, all of its requests or none. The rows of the requests are locked first, then the
row of the host; whoever holds the host's row decides alone, so a choice made in memory is still true when it is
saved. What must happen after the commit (telling Nova) is an operation in the same commit.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from oslo_config import cfg
from oslo_log import log

from cyborg import context
from cyborg.clients import nova
from cyborg.conductor import announcer, operations
from cyborg.domain import arq, choice, errors, inventory, liveness, profile, view, wire
from cyborg.domain.shape import Layout
from cyborg.rpc import messaging
from cyborg.store import arqs, hosts
from cyborg.store.engine import Store, Transaction

LOG = log.getLogger(__name__)


class BindingEndpoint:
    """RPC endpoint: bind, unbind, delete_arqs, delete_for_instance."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        store: Store,
        announcing: announcer.Announcer,
        work: operations.Operations,
    ) -> None:
        self._deadline = conf.conductor.event_deadline
        self._patience = datetime.timedelta(seconds=conf.api.host_down_after)
        self._store = store
        self._announcer = announcing
        self._operations = work

    @messaging.exposed
    def bind(self, ctxt: context.RequestContext, bindings: list[Any]) -> None:
        """Bind all or none; a bind that cannot be is refused here and now, with everything as it was."""
        wanted = [wire.from_wire(arq.Binding, item) for item in bindings]
        changed, work = self._store.retrying(self._bind, wanted)
        self._operations.wake(work)
        self._announcer.announce(changed)

    @messaging.exposed
    def unbind(self, ctxt: context.RequestContext, arq_uuids: list[str]) -> None:
        """Take the accelerators back and keep the requests, Unbound; NotFound if one of them is unknown."""
        self._announcer.announce(self._store.retrying(self._unbind, arq_uuids))

    @messaging.exposed
    def delete_arqs(self, ctxt: context.RequestContext, arq_uuids: list[str]) -> None:
        """Take the accelerators back and forget the requests; those that are gone already are no error."""
        self._announcer.announce(self._store.retrying(self._delete, arq_uuids))

    @messaging.exposed
    def delete_for_instance(self, ctxt: context.RequestContext, instance_uuid: str) -> None:
        """The same for every request of an instance, whosoever they are; may be called again."""
        self._announcer.announce(self._store.retrying(self._delete_for_instance, instance_uuid))

    def _bind(self, bindings: Sequence[arq.Binding]) -> tuple[list[inventory.Host], list[operations.Operation]]:
        with self._store.transaction() as tx:
            stored = arqs.get(tx, [binding.arq_uuid for binding in bindings], lock=True)
            todo = [binding for binding in bindings if not _bound_so(stored, binding)]
            for instance, hostname in sorted({(one.instance_uuid, one.hostname) for one in todo}):
                arqs.hold_instance(tx, instance, hostname)
            changed = [
                self._claim(tx, hostname, [one for one in todo if one.hostname == hostname], stored)
                for hostname in sorted({one.hostname for one in todo})
            ]
            if arqs.bind(tx, todo) != len(todo):
                raise errors.WrongState("A request changed while it was being bound. Read it again and retry.")
            return changed, self._tell_nova(tx, todo)

    def _claim(
        self, tx: Transaction, hostname: str, bindings: Sequence[arq.Binding], stored: Mapping[str, arq.Arq]
    ) -> inventory.Host:
        before = hosts.load(tx, hostname)
        if before is None:
            raise errors.NotFound(f"There is no host {hostname!r} with an agent; see the hostname of the devices.")
        liveness.refuse_down(before, datetime.datetime.now(datetime.UTC), self._patience)
        for one in bindings:
            _check_programming(stored[one.arq_uuid])
        wants = [
            choice.Want(arq_uuid=one.arq_uuid, group=stored[one.arq_uuid].group, parts=_carried_parts(before, one))
            for one in bindings
        ]
        after, chosen = choice.claim(before, wants)
        for arq_uuid, unit in chosen.items():
            LOG.info("Request %s gets accelerator %s (%s) of %s", arq_uuid, unit.uuid, unit.key, hostname)
        return hosts.save(tx, before, view.advance(before, after))

    def _tell_nova(self, tx: Transaction, bindings: Sequence[arq.Binding]) -> list[operations.Operation]:
        by_instance: dict[str, list[nova.Event]] = {}
        for one in bindings:
            event = nova.Event(arq_uuid=one.arq_uuid, instance_uuid=one.instance_uuid, completed=True)
            by_instance.setdefault(one.instance_uuid, []).append(event)
        return self._operations.add_events(tx, by_instance.values(), self._deadline)

    def _unbind(self, arq_uuids: Sequence[str]) -> list[inventory.Host]:
        with self._store.transaction() as tx:
            stored = arqs.get(tx, arq_uuids, lock=True)
            unknown = [uuid for uuid in arq_uuids if uuid not in stored]
            if unknown:
                raise errors.NotFound(f"There is no accelerator request {', '.join(unknown)}.")
            for request in stored.values():
                if not arq.may_follow(request.state, arq.State.UNBOUND):
                    raise errors.WrongState(f"Request {request.uuid} is {request.state} and cannot be unbound.")
            return take_back(tx, stored)

    def _delete(self, arq_uuids: Sequence[str]) -> list[inventory.Host]:
        with self._store.transaction() as tx:
            return _forget(tx, arqs.get(tx, arq_uuids, lock=True))

    def _delete_for_instance(self, instance_uuid: str) -> list[inventory.Host]:
        with self._store.transaction() as tx:
            return _forget(tx, arqs.of_instance(tx, instance_uuid, lock=True))


def take_back(tx: Transaction, stored: Mapping[str, arq.Arq]) -> list[inventory.Host]:
    """Requests that are locked, and may be unbound, give back what they hold; the hosts that changed."""
    changed = _release(tx, stored)
    arqs.unbind(tx, list(stored))
    arqs.leave_instances(tx, _instances(stored.values()))
    return changed


def _bound_so(stored: Mapping[str, arq.Arq], binding: arq.Binding) -> bool:
    """Whether exactly this was done before (a repeat is no error); raises when it can never be done."""
    request = stored.get(binding.arq_uuid)
    if request is None:
        raise errors.NotFound(f"There is no accelerator request {binding.arq_uuid}.")
    same = (request.hostname, request.device_rp_uuid, request.instance_uuid) == (
        binding.hostname,
        binding.device_rp_uuid,
        binding.instance_uuid,
    )
    if request.state is arq.State.BOUND and same and binding.project_id in (None, request.project_id):
        return True
    if request.state not in arq.BINDABLE:
        raise errors.WrongState(f"Request {request.uuid} is {request.state}; only Initial or Unbound can be bound.")
    return False


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


def _release(tx: Transaction, stored: Mapping[str, arq.Arq]) -> list[inventory.Host]:
    """Free what the requests hold; the hosts that changed, in the order in which they were locked."""
    changed = []
    for hostname in sorted({one.hostname for one in stored.values() if one.attach_handle and one.hostname}):
        before = hosts.load(tx, hostname)
        if before is not None:
            after = view.advance(before, choice.release(before, set(stored)))
            changed.append(hosts.save(tx, before, after))
    return changed


def _forget(tx: Transaction, stored: Mapping[str, arq.Arq]) -> list[inventory.Host]:
    if not stored:
        return []
    changed = _release(tx, stored)
    arqs.delete(tx, list(stored))
    arqs.leave_instances(tx, _instances(stored.values()))
    return changed


def _instances(requests: Iterable[arq.Arq]) -> list[str]:
    return sorted({one.instance_uuid for one in requests if one.instance_uuid})
