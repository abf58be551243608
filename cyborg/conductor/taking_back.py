# SPDX-License-Identifier: Apache-2.0
"""Operations ``take_back``: a unit that somebody gave back is made safe before anybody else may have it.

    ask the host for each step ──> one transaction: the unit is free, and Placement shows it again
              │
              ├ it does not answer, or cannot now ──> asked again, later each time, for ever
              └ it cannot ──> asked again, some times ──> quarantine, until an operator enables the device

Nobody waits for it, so a host that is down holds no answer up.
"""

import dataclasses
from collections.abc import Callable

from oslo_config import cfg
from oslo_log import log

from cyborg.conductor.host_work import Means, save, work_of
from cyborg.conductor.operations import Again, Task
from cyborg.domain import errors, flow, host_work, inventory, wire
from cyborg.store import hosts
from cyborg.store.engine import Transaction

LOG = log.getLogger(__name__)


class TakingBack:
    def __init__(self, conf: cfg.ConfigOpts, means: Means) -> None:
        self._attempts = conf.conductor.cleaning_attempts
        self._means = means
        means.operations.handle(flow.Kind.TAKE_BACK, self._work)

    def _work(self, task: Task) -> None:
        work = work_of(task)
        host, units = self._means.look(work)
        if host is None or not units:
            self._means.finish(task)
            return
        try:
            self._means.check_up(host)
            for device, part, unit in units:
                self._do_steps(work, host_work.unit_of(host, device, part, unit))
        except errors.InUse as exc:
            raise Again(exc.message) from exc
        except errors.Unavailable:
            raise
        except errors.CyborgError as exc:
            self._note_refusal(task, work, exc.message)
        else:
            self._end(work, lambda before: flow.cleaned(before, work.uuid), task.finish)
            LOG.info("Accelerator %s of %s is clean", work.subject, work.hostname)

    def _do_steps(self, work: flow.Work, unit: host_work.Unit) -> None:
        for step in work.steps:
            if step is host_work.Step.RELEASE:
                self._means.agents.release(work.hostname, work.uuid, unit, ends=work.ends)
            elif not self._means.agents.clean(work.hostname, work.uuid, unit, ends=work.ends):
                raise errors.Conflict(
                    f"Driver {unit.driver} on {work.hostname} does not know any more how to clean {unit.key} of the "
                    f"card {unit.address}, and did when the accelerator was given back."
                )

    def _note_refusal(self, task: Task, work: flow.Work, why: str) -> None:
        refused = dataclasses.replace(work, refusals=work.refusals + 1)
        if refused.refusals < self._attempts:
            raise Again(why, wire.to_wire(refused))

        def settle(tx: Transaction) -> None:
            task.give_up(tx, why)

        self._end(work, lambda before: flow.quarantined(before, work.uuid, why), settle)
        LOG.error("Accelerator %s of %s is in quarantine: %s", work.subject, work.hostname, why)

    def _end(
        self,
        work: flow.Work,
        decide: Callable[[inventory.Host], inventory.Host],
        settle: Callable[[Transaction], None],
    ) -> None:
        def once() -> inventory.Host:
            with self._means.store.transaction() as tx:
                before = hosts.load(tx, work.hostname)
                if before is None:
                    raise errors.NotFound(f"There is no host {work.hostname!r} any more.")
                after = save(tx, before, decide(before))
                settle(tx)
                return after

        self._means.announcer.announce([self._means.store.retrying(once)])
