# SPDX-License-Identifier: Apache-2.0
"""One driver's work in a thread of its own, so that it can harm no other one.

    lane = Lane("nvidia_gpu_driver", look, task="look at this host", meanwhile="its devices stay as they were")
    lane.start()
    outcome = lane.outcome(deadline, timeout)       # outcome.result, or outcome.error says why there is none

What raises or takes too long has no result this time. What hangs is left alone, and not started again until it came
back; what it then returns is old and thrown away. Trouble is logged when it starts and when it ends.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from oslo_log import log

from cyborg.domain import errors

LOG = log.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """``result`` is None when there is none, and ``error`` says why; ``exception`` is what nobody foresaw."""

    result: T | None = None
    error: str | None = None
    exception: Exception | None = None


class Lane(Generic[T]):
    """``task`` is what the driver cannot do when ``work`` fails, and ``meanwhile`` what that means; for the log."""

    def __init__(self, driver: str, work: Callable[[], T], *, task: str, meanwhile: str) -> None:
        self.driver = driver
        self._task = task
        self._meanwhile = meanwhile
        self._work = work
        self._thread: threading.Thread | None = None
        self._outcome: list[Outcome[T]] = []
        self._fresh = False
        self._failing = False

    def start(self) -> None:
        self._fresh = self._thread is None or not self._thread.is_alive()
        if self._fresh:
            self._outcome = []
            self._thread = threading.Thread(
                target=self._run, args=(self._outcome,), name=f"lane-{self.driver}", daemon=True
            )
            self._thread.start()

    def outcome(self, deadline: float, timeout: float) -> Outcome[T]:
        """After `start`: waits until ``deadline`` of the monotonic clock, which is ``timeout`` seconds after that."""
        if self._fresh and self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        outcome = self._judge(timeout)
        if outcome.error and not self._failing:
            LOG.error(
                "Driver %s cannot %s, %s: %s",
                *(self.driver, self._task, self._meanwhile, outcome.error),
                exc_info=outcome.exception,
            )
        if self._failing and not outcome.error:
            LOG.info("Driver %s can %s again.", self.driver, self._task)
        self._failing = outcome.error is not None
        return outcome

    def _judge(self, timeout: float) -> Outcome[T]:
        if not self._fresh:
            return Outcome(error="an earlier look has not come back yet")
        if self._thread is not None and self._thread.is_alive():
            return Outcome(error=f"no answer within {timeout:g} seconds")
        return self._outcome[0] if self._outcome else Outcome(error="its thread ended without a result")

    def _run(self, outcome: list[Outcome[T]]) -> None:
        try:
            outcome.append(Outcome(result=self._work()))
        except errors.CyborgError as exc:
            outcome.append(Outcome(error=exc.message))
        except Exception as exc:  # noqa: BLE001 - one driver's work: whatever it does, its neighbours go on
            outcome.append(Outcome(error=f"{type(exc).__name__}: {exc}", exception=exc))
