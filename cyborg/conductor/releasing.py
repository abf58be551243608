# SPDX-License-Identifier: Apache-2.0
"""Take accelerators back from requests, whatever was under way for them.

The answer never waits for a host. A unit that needs nothing is free in the transaction; one that has to be cleaned, or
was prepared, loses its holder there, and an operation in the same commit makes it ready for the next one.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from cyborg import context
from cyborg.conductor import host_work
from cyborg.conductor.operations import Operation
from cyborg.domain import arq, errors, flow, inventory, reconcile
from cyborg.rpc import messaging
from cyborg.store import arqs, hosts, operations
from cyborg.store.engine import Transaction

#: Hosts that changed, in the order in which they were locked, and what has to be done there.
Released = tuple[list[inventory.Host], list[flow.Work]]


class ReleasingEndpoint:
    """RPC endpoint: unbind, delete_arqs, delete_for_instance."""

    def __init__(self, means: host_work.Means) -> None:
        self._means = means

    @messaging.exposed
    def unbind(self, ctxt: context.RequestContext, arq_uuids: list[str]) -> None:
        """Take the accelerators back and keep the requests, Unbound; NotFound if one of them is unknown."""
        self._do(lambda tx: _unbind(tx, arq_uuids))

    @messaging.exposed
    def delete_arqs(self, ctxt: context.RequestContext, arq_uuids: list[str]) -> None:
        """Take the accelerators back and forget the requests; those that are gone already are no error."""
        self._do(lambda tx: _forget(tx, arqs.get(tx, arq_uuids, lock=True)))

    @messaging.exposed
    def delete_for_instance(self, ctxt: context.RequestContext, instance_uuid: str) -> None:
        """The same for every request of an instance, whosoever they are; may be called again."""
        self._do(lambda tx: _forget(tx, arqs.of_instance(tx, instance_uuid, lock=True)))

    def _do(self, decide: Callable[[Transaction], Released]) -> None:
        def once() -> tuple[list[inventory.Host], list[Operation]]:
            with self._means.store.transaction() as tx:
                changed, work = decide(tx)
                rows = self._means.rows(work)
                operations.add(tx, rows)
                return changed, rows

        changed, rows = self._means.store.retrying(once)
        self._means.operations.wake(rows)
        self._means.announcer.announce(changed)


def take_back(tx: Transaction, stored: Mapping[str, arq.Arq], also: Collection[str] = ()) -> Released:
    """Requests that are locked, and may be unbound, give back what they hold; the work is still to be added.

    ``also`` are further hosts on which they hold something, which is not to be.
    """
    released = _release(tx, {*_hosts(stored), *also}, stored.keys())
    arqs.unbind(tx, list(stored))
    arqs.leave_instances(tx, _instances(stored.values()))
    return released


def _release(tx: Transaction, hostnames: Collection[str], holders: Collection[str]) -> Released:
    changed: list[inventory.Host] = []
    work: list[flow.Work] = []
    for hostname in sorted(hostnames):
        before = hosts.load(tx, hostname)
        if before is not None:
            after, further = flow.take_back(before, holders, reconcile.new_uuid)
            changed.append(host_work.save(tx, before, after))
            work += further
    return changed, work


def _unbind(tx: Transaction, arq_uuids: Sequence[str]) -> Released:
    stored = arqs.get(tx, arq_uuids, lock=True)
    unknown = [uuid for uuid in arq_uuids if uuid not in stored]
    if unknown:
        raise errors.NotFound(f"There is no accelerator request {', '.join(unknown)}.")
    for request in stored.values():
        if not arq.may_follow(request.state, arq.State.UNBOUND):
            raise errors.WrongState(f"Request {request.uuid} is {request.state} and cannot be unbound.")
    return take_back(tx, stored)


def _forget(tx: Transaction, stored: Mapping[str, arq.Arq]) -> Released:
    if not stored:
        return [], []
    released = _release(tx, _hosts(stored), stored.keys())
    arqs.delete(tx, list(stored))
    arqs.leave_instances(tx, _instances(stored.values()))
    return released


def _hosts(stored: Mapping[str, arq.Arq]) -> set[str]:
    """Where the requests hold something."""
    return {one.hostname for one in stored.values() if one.hostname and one.state in arq.HOLDING}


def _instances(requests: Iterable[arq.Arq]) -> list[str]:
    return sorted({one.instance_uuid for one in requests if one.instance_uuid})
