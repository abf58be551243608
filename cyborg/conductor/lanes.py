# SPDX-License-Identifier: Apache-2.0
"""Work that waits for a thread, in an order that lets nobody hold back the others.

    lanes = Lanes(workers=8)
    lanes.put(operation)
    one = lanes.get()           # the first whose lane has room; None after `close`
    lanes.done(one)

Each host is a lane, so a host that does not answer costs at most HOST_WIDTH threads, whatever waits for it. What is for
no host (telling Nova) is done one after the other, and hosts together never take the last thread from it.
"""

import threading
from collections import Counter

from cyborg.store.operations import Operation

HOST_WIDTH = 2


class Lanes:
    """For any number of threads."""

    def __init__(self, workers: int) -> None:
        self._most_for_hosts = max(1, workers - 1)
        self._changed = threading.Condition()
        self._waiting: list[Operation] = []
        self._running: Counter[str | None] = Counter()
        self._closed = False

    def put(self, one: Operation) -> None:
        with self._changed:
            self._waiting.append(one)
            self._changed.notify()

    def get(self) -> Operation | None:
        with self._changed:
            while not self._closed:
                for number, one in enumerate(self._waiting):
                    if self._has_room(one.hostname):
                        self._running[one.hostname] += 1
                        return self._waiting.pop(number)
                self._changed.wait()
            return None

    def done(self, one: Operation) -> None:
        with self._changed:
            self._running[one.hostname] -= 1
            self._changed.notify_all()

    def close(self) -> list[Operation]:
        """What has not been begun, and never will be here."""
        with self._changed:
            self._closed = True
            left, self._waiting = self._waiting, []
            self._changed.notify_all()
        return left

    def _has_room(self, hostname: str | None) -> bool:
        if hostname is None:
            return not self._running[None]
        busy = self._running.total() - self._running[None]
        return self._running[hostname] < HOST_WIDTH and busy < self._most_for_hosts
