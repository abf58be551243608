# SPDX-License-Identifier: Apache-2.0
"""Work that recurs, done by one conductor at a time: a thread for each kind, and a lease in the database.

    expiry = Recurring("arq_expiry", 600, store, Expiry(conf, store).run)
    expiry.start()

Every conductor asks for the turn now and then. Whoever gets it when it is due does the work and gives it back until
the next time, with what the next one should know. If it dies, the lease runs out and any conductor takes the turn over.
"""

import datetime
import random
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from oslo_log import log

from cyborg.outage import Outage
from cyborg.store import operations
from cyborg.store.engine import Store

LOG = log.getLogger(__name__)
LEASE = 120.0
#: Seconds between two questions whether the turn is due, at most; also after work that failed.
ASKING = 60.0
#: Seconds for which a stop waits for the work in hand.
STOP_PATIENCE = 3.0

Notes = Mapping[str, Any]


class Turn:
    """What the work gets: the notes of the last turn, and a way to hold the lease for longer."""

    def __init__(self, notes: Notes, keep: Callable[[], bool], stopping: threading.Event) -> None:
        self.notes = notes
        self.stopping = stopping
        self._keep = keep

    def goes_on(self) -> bool:
        """Ask between pieces of long work: False ends it, because this process stops or the turn was lost."""
        return not self.stopping.is_set() and self._keep()


class Recurring:
    """``work`` returns the notes for the next turn. Start it once, stop it once."""

    def __init__(self, name: str, interval: float, store: Store, work: Callable[[Turn], Notes]) -> None:
        self.name = name
        self._interval = interval
        self._store = store
        self._work = work
        self._owner = str(uuid.uuid4())
        self._outage = Outage(name, again="by one conductor or another")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns at once; the work in hand ends soon."""
        self._stopping.set()

    def wait(self) -> None:
        if self._thread.is_alive():
            self._thread.join(STOP_PATIENCE)

    def run_once(self) -> bool:
        """Take the turn if it is due and do the work; whether it was."""
        lease = self._lease()
        taken = self._store.retrying(self._take, lease)
        if taken is None:
            return False
        notes, pause = taken.payload, min(self._interval, ASKING)
        try:
            notes = self._work(Turn(notes, lambda: self._store.retrying(self._keep, taken), self._stopping))
            pause = self._interval
        finally:
            self._store.retrying(self._end, taken, notes, pause)
        return True

    def _loop(self) -> None:
        """Conductors that start together do not all ask at once, nor before agents had a chance to speak."""
        while not self._stopping.wait(min(self._interval, ASKING) * random.uniform(0.5, 1)):  # noqa: S311  no secret
            try:
                with self._outage.watched():
                    self.run_once()
            except Exception:  # a periodic loop's edge: the next round tries again
                LOG.exception("%s failed", self.name)

    def _take(self, lease: datetime.datetime) -> operations.Operation | None:
        with self._store.transaction() as tx:
            return operations.take_turn(tx, self.name, owner=self._owner, lease_until=lease)

    def _keep(self, one: operations.Operation) -> bool:
        with self._store.transaction() as tx:
            return operations.keep_turn(tx, one, owner=self._owner, lease_until=self._lease())

    def _end(self, one: operations.Operation, notes: Notes, pause: float) -> None:
        next_at = operations.now() + datetime.timedelta(seconds=pause)
        with self._store.transaction() as tx:
            operations.end_turn(tx, one, owner=self._owner, next_at=next_at, payload=notes)

    def _lease(self) -> datetime.datetime:
        return operations.now() + datetime.timedelta(seconds=LEASE)
