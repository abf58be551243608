# SPDX-License-Identifier: Apache-2.0
"""Durable work: what must still happen after a commit is a row in that commit.

A row has an owner and a lease. The conductor that made it owns it at once and works on it without looking
it up; if it dies, the lease runs out and any conductor takes the row over. Work that fails is tried again,
later each time, until its deadline; then it ends, with its error in the log.

    add (owner: me) -> work -> finish
                         └──> postpone(next_at, error) -> work -> ... -> deadline: finish, logged as given up
"""

import datetime
import queue
import threading
import uuid
from collections.abc import Iterable, Sequence

from oslo_config import cfg
from oslo_log import log

from cyborg.clients import nova
from cyborg.domain import errors, wire
from cyborg.store import operations
from cyborg.store.engine import Store, Transaction

LOG = log.getLogger(__name__)
Operation = operations.Operation
NOVA_EVENTS = "nova_events"
FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
BATCH = 50
#: Seconds for which a stop waits for Nova.
STOP_PATIENCE = 3.0


class Operations:
    """One worker thread per conductor process; start it once, stop it once."""

    def __init__(self, conf: cfg.ConfigOpts, store: Store, events: nova.Events) -> None:
        self._owner = str(uuid.uuid4())
        self._lease = conf.conductor.operation_lease
        self._interval = conf.conductor.operation_interval
        self._store = store
        self._events = events
        self._queue: queue.Queue[Operation | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="operations", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the work in hand is done, or takes too long; what is not done stays in the database."""
        self._queue.put(None)
        self._thread.join(STOP_PATIENCE)

    def add_events(self, tx: Transaction, groups: Iterable[Sequence[nova.Event]], deadline: float) -> list[Operation]:
        """Record one piece of work for each group of events, all of one server, owned by this conductor."""
        now = operations.now()
        work = [
            operations.new(
                kind=NOVA_EVENTS,
                payload={"events": wire.to_wire(tuple(group))},
                owner=self._owner,
                lease_until=now + datetime.timedelta(seconds=self._lease),
                deadline=now + datetime.timedelta(seconds=deadline),
            )
            for group in groups
        ]
        operations.add(tx, work)
        return work

    def wake(self, work: Iterable[Operation]) -> None:
        """After the commit: work on these now."""
        for one in work:
            self._queue.put(one)

    def _run(self) -> None:
        while True:
            try:
                one = self._queue.get(timeout=self._interval)
            except queue.Empty:
                self._take_due()
                continue
            if one is None:
                return
            self._work(one)

    def _take_due(self) -> None:
        try:
            lease = operations.now() + datetime.timedelta(seconds=self._lease)
            self.wake(self._store.retrying(self._take, lease))
        except Exception:  # a periodic loop's edge: the next round tries again
            LOG.exception("Looking for due operations failed")

    def _take(self, lease_until: datetime.datetime) -> list[Operation]:
        with self._store.transaction() as tx:
            return operations.take_due(tx, owner=self._owner, lease_until=lease_until, limit=BATCH)

    def _work(self, one: Operation) -> None:
        try:
            failure = self._try(one)
            with self._store.transaction() as tx:
                if failure is None:
                    operations.finish(tx, one, owner=self._owner)
                else:
                    operations.postpone(
                        tx, one, owner=self._owner, error=failure, next_at=operations.now() + _delay(one.attempts)
                    )
        except Exception:  # a periodic loop's edge: the lease runs out and the row is taken again
            LOG.exception("Operation %s failed", one.uuid)

    def _try(self, one: Operation) -> str | None:
        """None when the work is over, one way or the other; else why it must be tried again."""
        try:
            self._events.send([wire.from_wire(nova.Event, event) for event in one.payload["events"]])
        except errors.Unavailable as exc:
            if one.deadline is not None and operations.now() >= one.deadline:
                LOG.error("Operation %s is given up after %d attempts: %s", one.uuid, one.attempts + 1, exc.message)
                return None
            if one.attempts == 0:
                LOG.warning("Operation %s will be tried again: %s", one.uuid, exc.message)
            return exc.message
        if one.attempts:
            LOG.info("Operation %s succeeded after %d failures", one.uuid, one.attempts)
        return None


def _delay(attempts: int) -> datetime.timedelta:
    return datetime.timedelta(seconds=min(FIRST_DELAY * 2**attempts, LONGEST_DELAY))
