# SPDX-License-Identifier: Apache-2.0
"""What a host's error counters were, so that what counts is their growth and not what happened long ago.

The kernel and the vendors' libraries count errors since the host or its driver started. A driver asks, at each look:

    if function.grew("aer_dev_fatal", 3):                   # since the last look, or lately
        yield Health.FAILED, "fatal_errors"
    if function.grew("aer_dev_correctable", 52, by=10):     # by so many within the hold time
        yield Health.DEGRADED, "correctable_errors"

At first sight nothing is known of when the errors were, so all of them count as new. A counter that grew stays so for
the hold time: looks in between agree, and a report does not change with each of them. One that fell was set back, by a
reset or with another card in the slot, and is seen for the first time.

The memory belongs to the host, not to a driver: drivers are made anew, and several may look at one card.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

HOLD = 600.0


class _Counter(NamedTuple):
    """``base`` is the value at ``since``, from which growth is measured; times are those of the clock."""

    base: int
    since: float
    grew_at: float | None


class Counters:
    """For any number of threads. ``hold`` is in seconds. ``clock`` must go on while the agent restarts."""

    def __init__(self, hold: float = HOLD, clock: Callable[[], float] = time.monotonic) -> None:
        self.hold = hold
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], _Counter] = {}
        self._changes = 0

    def grew(self, subject: str, name: str, value: int | None, *, by: int = 1, first: int | None = 1) -> bool:
        """Whether the counter ``name`` of ``subject`` grew by ``by`` within the hold time.

        ``value`` is None when it cannot be read: then what was seen before holds. ``first`` is the value from which on
        it counts at first sight, None where only growth does.
        """
        now = self._clock()
        with self._lock:
            was = self._known.get((subject, name))
            counter = was if value is None else self._next(was, value, now, by, first)
            if counter is not None and counter != was:
                self._known[subject, name] = counter
                self._changes += was is None or (counter.base, counter.grew_at) != (was.base, was.grew_at)
        return counter is not None and counter.grew_at is not None and now - counter.grew_at < self.hold

    @property
    def changes(self) -> int:
        """Grows whenever `kept` has something new to say."""
        return self._changes

    def kept(self) -> list[list[Any]]:
        """All that is known, as JSON types, for `recall` in a later process of the same boot."""
        with self._lock:
            return [[*key, *counter] for key, counter in self._known.items()]

    def recall(self, kept: list[list[Any]]) -> None:
        """Raises TypeError or ValueError for what `kept` did not give."""
        found: Mapping[tuple[str, str], _Counter] = {
            (str(subject), str(name)): _Counter(int(base), float(since), None if grew_at is None else float(grew_at))
            for subject, name, base, since, grew_at in kept
        }
        with self._lock:
            self._known.update(found)

    def _next(self, was: _Counter | None, value: int, now: float, by: int, first: int | None) -> _Counter:
        if was is None or value < was.base:
            earlier = was.grew_at if was else None
            return _Counter(value, now, now if first is not None and value >= first else earlier)
        if value - was.base >= by:
            return _Counter(value, now, now)
        return was if now - was.since < self.hold else _Counter(value, now, was.grew_at)
