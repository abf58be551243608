# SPDX-License-Identifier: Apache-2.0
"""Operations ``prepare``: a server's requests are BindStarted, and become Bound when their host has done its part.

    ask the host for each unit ──> one transaction: all Bound, Nova is told
              │
              └ it cannot ──> while the caller waits: everything as it was, and the caller is told
                         └──> once it was answered: all BindFailed, Nova is told

A device whose driver tried and failed takes no new work before it was seen to work (`cyborg.domain.health`).

A failure that is seen too early does harm: Nova takes a request that has failed when it first looks for one that is
ready, and starts the server without its card. So after the answer it is tried again until Nova has surely looked.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence

from oslo_config import cfg
from oslo_log import log

from cyborg.conductor.host_work import Found, Means, save, work_of
from cyborg.conductor.notices import Notices
from cyborg.conductor.operations import Again, LeaseLost, Operation, Task
from cyborg.conductor.telling import Telling, outcomes
from cyborg.conductor.waiting import Caller, Waiting
from cyborg.domain import arq, errors, flow, host_work, inventory, reconcile, status
from cyborg.domain.report import Capability
from cyborg.store import arqs, hosts, operations
from cyborg.store.engine import Transaction

LOG = log.getLogger(__name__)
#: A host that says that something is in use is asked so often before it is believed.
IN_USE_ATTEMPTS = 3


class CannotPrepare(Exception):
    """The driver of that device tried, and failed."""

    def __init__(self, device: inventory.Device, message: str) -> None:
        super().__init__(message)
        self.device = device
        self.message = message


Decide = Callable[[inventory.Host, flow.Requests], flow.Outcome]
#: Gets the requests that were changed, and returns what there is to do besides.
Settle = Callable[[Transaction, Sequence[arq.Arq]], list[Operation]]


class Preparing:
    def __init__(self, conf: cfg.ConfigOpts, means: Means, telling: Telling, told: Notices) -> None:
        self._answered = datetime.timedelta(seconds=conf.conductor.bind_wait + conf.conductor.bind_failure_delay)
        self._means = means
        self._telling = telling
        self._told = told
        self.waiting = Waiting(max(1, conf.thread_pool_size // 2))
        means.operations.handle(flow.Kind.PREPARE, self._work)

    def _work(self, task: Task) -> None:
        work = work_of(task)
        host, units = self._means.look(work)
        if host is None or not units:
            self._means.finish(task)
            self.waiting.end(work.uuid)
            return
        try:
            attached = self._ask(host, units, work)
        except errors.Unavailable as exc:
            if not task.is_late:
                raise
            self._refuse(task, work, exc.message)
        except errors.InUse as exc:
            if task.operation.attempts + 1 < IN_USE_ATTEMPTS:
                raise Again(exc.message) from exc
            self._refuse(task, work, exc.message)
        except (CannotPrepare, errors.CyborgError) as exc:
            if len(self._means.look(work)[1]) != len(units):
                # A request of it was called off meanwhile, and what its host then refused says nothing of the others.
                raise Again(exc.message) from exc
            self._refuse(task, work, exc.message, exc.device if isinstance(exc, CannotPrepare) else None)
        else:
            self._succeed(task, work, attached)

    def _ask(self, host: inventory.Host, units: Sequence[Found], work: flow.Work) -> dict[str, flow.Info]:
        """What is to be attached, by unit, of those whose driver has a part in it."""
        self._means.check_up(host)
        with self._means.store.reading() as tx:
            requests = arqs.get(tx, work.former)
        attached: dict[str, flow.Info] = {}
        for device, part, unit in units:
            if Capability.PREPARES not in device.capabilities:
                continue
            wish = requests[unit.holder].group.accel if unit.holder in requests else {}
            asked = host_work.unit_of(host, device, part, unit)
            try:
                attached[unit.uuid] = self._means.agents.prepare(host.name, work.uuid, asked, wish)
            except errors.DriverError as exc:
                raise CannotPrepare(device, exc.message) from exc
        return attached

    def _succeed(self, task: Task, work: flow.Work, attached: Mapping[str, flow.Info]) -> None:
        def settle(tx: Transaction, bound: Sequence[arq.Arq]) -> list[Operation]:
            task.finish(tx)
            _check(arqs.move(tx, _uuids(bound), arq.State.BOUND), bound)
            return self._telling.of(outcomes(bound), completed=True)

        try:
            self._change(work, lambda host, requests: flow.prepared(host, requests, work, attached), settle)
        finally:
            # Also when the lease was lost: who waits looks how its requests are.
            self.waiting.end(work.uuid)

    def _refuse(self, task: Task, work: flow.Work, why: str, blamed: inventory.Device | None = None) -> None:
        why = f"Host {work.hostname} cannot prepare what server {work.subject} was to get: {why}"
        caller = self.waiting.claim(work.uuid)
        if caller is not None:
            self._undo(task, work, why, caller, blamed)
        elif self._may_be_seen(task):
            self._fail(task, work, why, blamed)
        else:
            raise Again(why)

    def _may_be_seen(self, task: Task) -> bool:
        deadline = task.operation.deadline
        return deadline is None or operations.now() >= deadline - self._means.deadline + self._answered

    def _undo(self, task: Task, work: flow.Work, why: str, caller: Caller, blamed: inventory.Device | None) -> None:
        def settle(tx: Transaction, undone: Sequence[arq.Arq]) -> list[Operation]:
            task.finish(tx)
            _check(arqs.undo(tx, {one.uuid: work.former[one.uuid] for one in undone}), undone)
            arqs.leave_instances(tx, [work.subject])
            return []

        try:
            self._change(
                work, lambda host, requests: flow.refused(host, requests, work, reconcile.new_uuid), settle, blamed
            )
        except LeaseLost:
            caller.answer()
            raise
        except BaseException:  # whatever it was, it goes on, and nobody waits for ever
            caller.answer(errors.Unavailable(f"{why} It could not be undone yet."))
            raise
        LOG.warning("%s", why)
        caller.answer(errors.Conflict(why))

    def _fail(self, task: Task, work: flow.Work, why: str, blamed: inventory.Device | None) -> None:
        def settle(tx: Transaction, lost: Sequence[arq.Arq]) -> list[Operation]:
            task.give_up(tx, why)
            _check(arqs.move(tx, _uuids(lost), arq.State.BIND_FAILED, fault=why), lost)
            return self._telling.of(outcomes(lost), completed=False)

        self._change(
            work, lambda host, requests: flow.failed(host, requests, work, why, reconcile.new_uuid), settle, blamed
        )

    def _change(self, work: flow.Work, decide: Decide, settle: Settle, blamed: inventory.Device | None = None) -> None:
        """One transaction, and what follows from it."""

        def once() -> tuple[inventory.Host, list[Operation]]:
            with self._means.store.transaction() as tx:
                requests = arqs.get(tx, work.former, lock=True)
                before = hosts.load(tx, work.hostname)
                if before is None:
                    raise errors.NotFound(f"There is no host {work.hostname!r} any more.")
                outcome = decide(before, requests)
                after = save(tx, before, outcome.host) if blamed is None else self._blame(tx, before, outcome, blamed)
                changed = [one for uuid, one in outcome.requests.items() if one != requests[uuid]]
                further = [*self._means.rows(outcome.work), *settle(tx, changed)]
                operations.add(tx, further)
                return after, further

        after, further = self._means.store.retrying(once)
        self._means.operations.wake(further)
        if blamed is not None:
            LOG.warning("Device %s of %s counts as failed until it is seen to work", blamed.uuid, after.name)
            if self._told.is_on:
                self._means.operations.look()
        self._means.announcer.announce([after])

    def _blame(
        self, tx: Transaction, before: inventory.Host, outcome: flow.Outcome, device: inventory.Device
    ) -> inventory.Host:
        moment = int(operations.now().timestamp())
        after = save(tx, before, status.failed_at_work(outcome.host, device.uuid, moment, self._means.rules))
        hosts.ask_again(tx, after, device.driver)
        self._told.of_devices(tx, before, after)
        return after


def _uuids(requests: Sequence[arq.Arq]) -> list[str]:
    return [one.uuid for one in requests]


def _check(count: int, wanted: Sequence[arq.Arq]) -> None:
    """The rows are locked, so this is not to be; if it is, nothing is written and the work is done again."""
    if count != len(wanted):
        raise errors.WrongState(f"{len(wanted)} request(s) were to change and {count} did; it is tried again.")
