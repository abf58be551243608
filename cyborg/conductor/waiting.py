# SPDX-License-Identifier: Apache-2.0
"""Callers that wait for the outcome of work done by other threads of this process.

    waiting.begin([work])                   # before the work can begin
    waiting.outcome([work], patience=20)    # raises what it ended with; returns when it went well, or goes on

Whoever finds that the work cannot be done asks first whether anybody still waits. A caller that is claimed waits for
its answer from then on, so what it is told and what is stored are the same.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from cyborg.domain import errors

#: Seconds for which a claimed caller waits for the transaction that undoes its bind.
CLAIMED_PATIENCE = 15.0


@dataclass(eq=False, kw_only=True)
class Caller:
    """One who waits."""

    over: threading.Event = field(default_factory=threading.Event)
    error: errors.CyborgError | None = None
    claimed: bool = False

    def answer(self, error: errors.CyborgError | None = None) -> None:
        """Let it go, with the error that it is to raise."""
        self.error = error
        self.over.set()


class Waiting:
    """For any number of threads, of which at most ``most`` wait: the others are needed to serve."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._callers: dict[str, Caller] = {}

    def begin(self, work: Sequence[str]) -> None:
        """Nobody waits for these if too many wait already."""
        with self._guard:
            if len(self._callers) + len(work) <= self._most:
                self._callers |= {uuid: Caller() for uuid in work}

    def close(self) -> None:
        """Nobody waits any more, but for those who are claimed: what goes on does so elsewhere."""
        with self._guard:
            self._most = 0
            for caller in self._callers.values():
                if not caller.claimed:
                    caller.over.set()

    def claim(self, work: str) -> Caller | None:
        """Whoever waits for it, and now waits until it is answered; None when nobody does, or not any more."""
        with self._guard:
            caller = self._callers.get(work)
            if caller is not None:
                caller.claimed = True
            return caller

    def end(self, work: str) -> None:
        """It is over, in whatever way; nothing when nobody waits for it."""
        caller = self.claim(work)
        if caller is not None:
            caller.answer()

    def outcome(self, work: Sequence[str], patience: float) -> None:
        """Raises the first error that there is; after this nobody waits for any of them."""
        ends = time.monotonic() + patience
        with self._guard:
            callers = {uuid: self._callers[uuid] for uuid in work if uuid in self._callers}
        for caller in callers.values():
            caller.over.wait(max(0.0, ends - time.monotonic()))
        with self._guard:
            claimed = [caller for caller in callers.values() if caller.claimed]
            for uuid in callers:
                del self._callers[uuid]
        for caller in claimed:
            caller.over.wait(CLAIMED_PATIENCE)
        for caller in callers.values():
            if caller.error is not None:
                raise caller.error
