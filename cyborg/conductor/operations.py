# SPDX-License-Identifier: Apache-2.0
"""Durable work: what must still happen after a commit is a row in that commit.

A row has an owner and a lease. The conductor that made it owns it at once and works on it without looking it up, and
holds the lease for as long as that takes; if it dies, the lease runs out and any conductor takes the row over. Work
that fails is tried again, later each time. What each kind does, and when it is given up, is for its handler to say:

    def send(task):
        nova.send(task.operation.payload)           # raises Unavailable: tried again
        with store.transaction() as tx:
            task.finish(tx)                         # raises LeaseLost: somebody else has it, and nothing is written

    operations.handle("nova_events", send)
    row = operations.own(new(kind="nova_events", payload=...))
    ...                                             # add it, commit
    operations.wake([row])
"""

import dataclasses
import datetime
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from oslo_config import cfg
from oslo_log import log

from cyborg.conductor.lanes import Lanes
from cyborg.domain import errors
from cyborg.outage import Outage
from cyborg.store import operations
from cyborg.store.engine import Store, Transaction

LOG = log.getLogger(__name__)
Operation = operations.Operation
FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
#: Operations that one process has in hand, at most.
BATCH = 50
#: Leases are renewed so often while they last.
RENEWALS = 3
#: Seconds for which a stop waits for work in hand.
STOP_PATIENCE = 3.0


class LeaseLost(Exception):
    """Another conductor has the operation by now; raised in a transaction, which must be undone."""


class Again(Exception):
    """It could not be done yet; ``payload`` is another one that it has from now on."""

    def __init__(self, message: str, payload: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.payload = payload


class Task:
    """An operation in hand."""

    def __init__(self, operation: Operation, owner: str) -> None:
        self.operation = operation
        self._owner = owner

    @property
    def is_late(self) -> bool:
        deadline = self.operation.deadline
        return deadline is not None and operations.now() >= deadline

    def finish(self, tx: Transaction) -> None:
        """Done, in the transaction of its effects."""
        if not operations.finish(tx, self.operation, owner=self._owner):
            raise LeaseLost

    def give_up(self, tx: Transaction, error: str) -> None:
        """Not done, and never tried again; kept for a while, for administrators to read."""
        LOG.error("Operation %s (%s) is given up: %s", self.operation.uuid, self.operation.kind, error)
        if not operations.give_up(tx, self.operation, owner=self._owner, error=error):
            raise LeaseLost


Handler = Callable[[Task], None]


class Operations:
    """Some worker threads per conductor process, and one that looks for work; start it once, stop it once."""

    def __init__(self, conf: cfg.ConfigOpts, store: Store) -> None:
        workers = conf.conductor.operation_workers
        self._owner = str(uuid.uuid4())
        self._lease = datetime.timedelta(seconds=conf.conductor.operation_lease)
        self._interval = float(conf.conductor.operation_interval)
        self._store = store
        self._handlers: dict[str, Handler] = {}
        self._lanes = Lanes(workers)
        self._hand: dict[str, Operation] = {}
        self._guard = threading.Condition()
        self._look_at = time.monotonic()
        self._stopping = False
        self._outage = Outage("Operations", again="shortly")
        self._looker = threading.Thread(target=self._keep, name="operations", daemon=True)
        self._workers = [
            threading.Thread(target=self._work, name=f"operations-{number}", daemon=True) for number in range(workers)
        ]

    def handle(self, kind: str, handler: Handler) -> None:
        """Before `start`. Operations of other kinds are left to conductors that know them."""
        self._handlers[kind] = handler

    def start(self) -> None:
        for thread in (self._looker, *self._workers):
            thread.start()

    def stop(self) -> None:
        """Returns when the work in hand is done, or takes too long; what is not done stays in the database."""
        with self._guard:
            self._stopping = True
            self._guard.notify_all()
        left = self._lanes.close()
        ends = time.monotonic() + STOP_PATIENCE
        for thread in self._workers:
            thread.join(max(0.0, ends - time.monotonic()))
        try:
            with self._store.transaction() as tx:
                operations.let_go(tx, [one.uuid for one in left], owner=self._owner)
        except errors.CyborgError as exc:
            LOG.info("%d operation(s) are free when their leases end: %s", len(left), exc.message)

    def own(self, one: Operation) -> Operation:
        """A new operation, to be added, that is this conductor's from the start."""
        return dataclasses.replace(one, owner=self._owner, lease_until=self._lease_until())

    def wake(self, work: Iterable[Operation]) -> None:
        """After the commit: work on these now; what is in hand already is not begun twice."""
        for one in work:
            with self._guard:
                known = one.uuid in self._hand
                self._hand[one.uuid] = one
            if not known:
                self._lanes.put(one)

    def _work(self) -> None:
        while (one := self._lanes.get()) is not None:
            try:
                with self._outage.watched():  # what could not be written is free when its lease ends
                    self._do(one)
            except Exception:  # a worker's edge: the lease runs out and the row is taken again
                LOG.exception("Operation %s failed", one.uuid)
            finally:
                with self._guard:
                    self._hand.pop(one.uuid, None)
                self._lanes.done(one)

    def _do(self, one: Operation) -> None:
        try:
            self._handlers[one.kind](Task(one, self._owner))
        except LeaseLost:
            LOG.info("Operation %s is another conductor's by now", one.uuid)
        except Again as exc:
            self._postpone(one, exc.message, exc.payload)
        except errors.Unavailable as exc:
            self._postpone(one, exc.message)
        except Exception:  # whatever it was, it stays to be done
            LOG.exception("Operation %s failed", one.uuid)
            self._postpone(one, "It failed in a way that nobody thought of; see the conductor's log.")
        else:
            if one.attempts:
                LOG.info("Operation %s is over after %d failure(s)", one.uuid, one.attempts)

    def _postpone(self, one: Operation, error: str, payload: Mapping[str, Any] | None = None) -> None:
        if one.attempts == 0:
            LOG.warning("Operation %s (%s) will be tried again: %s", one.uuid, one.kind, error)
        delay = min(FIRST_DELAY * 2**one.attempts, LONGEST_DELAY)
        next_at = operations.now() + datetime.timedelta(seconds=delay)
        with self._guard:
            self._hand.pop(one.uuid, None)
        with self._store.transaction() as tx:
            operations.postpone(tx, one, owner=self._owner, error=error, next_at=next_at, payload=payload)
        self.look(delay)

    def look(self, delay: float = 0.0) -> None:
        """Look for due work in so many seconds, if not before."""
        with self._guard:
            self._look_at = min(self._look_at, time.monotonic() + delay)
            self._guard.notify_all()

    def _keep(self) -> None:
        """Hold the leases of what is in hand, and look for what is due."""
        period = self._lease.total_seconds() / RENEWALS
        renew_at = time.monotonic() + period
        while True:
            with self._guard:
                while not self._stopping and time.monotonic() < min(self._look_at, renew_at):
                    self._guard.wait(min(self._look_at, renew_at) - time.monotonic())
                if self._stopping:
                    return
                looks = time.monotonic() >= self._look_at
                if looks:
                    self._look_at = time.monotonic() + self._interval
            try:
                with self._outage.watched():
                    if looks:
                        self._take_due()
                    if time.monotonic() >= renew_at:
                        renew_at = time.monotonic() + period
                        self.renew()
            except Exception:  # a periodic loop's edge: the next round tries again
                LOG.exception("Looking for due operations failed")

    def _take_due(self) -> None:
        with self._guard:
            room = BATCH - len(self._hand)
        if room > 0:
            self.wake(self._store.retrying(self._take, room))

    def _take(self, limit: int) -> list[Operation]:
        with self._store.transaction() as tx:
            return operations.take_due(
                tx, owner=self._owner, lease_until=self._lease_until(), limit=limit, kinds=self._handlers
            )

    def renew(self) -> None:
        """Hold what is in hand for another lease."""
        with self._guard:
            hand = sorted(self._hand)
        if hand:
            with self._store.transaction() as tx:
                operations.renew(tx, hand, owner=self._owner, lease_until=self._lease_until())

    def _lease_until(self) -> datetime.datetime:
        return operations.now() + self._lease
