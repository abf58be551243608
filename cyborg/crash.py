# SPDX-License-Identifier: Apache-2.0
"""Numbered places at which a process can be told to die, for tests of what a crash leaves behind.

    crash.point("store.before_commit")          # does nothing, unless the environment says otherwise

    CYBORG_CRASH_AT=store.before_commit:3       SIGKILL at the third hit of that point
    CYBORG_CRASH_AT=*:17                        SIGKILL at the seventeenth hit of any
    CYBORG_CRASH_LOG=/tmp/points                a line for each hit, in order, so that they can be numbered

The points are at the seams only: a commit, a message, a request to Placement or Nova. With a log, a process dies once:
workers that are started again go on. Without one, they die again at the same count.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

AT, LOG = "CYBORG_CRASH_AT", "CYBORG_CRASH_LOG"
ANY = "*"
#: The last line of a log, in which the process died.
DEATH = "killed at "


class Armed:
    """``at`` as in the environment, "" for a log only. For any number of threads."""

    def __init__(self, at: str, log: str) -> None:
        self._name, _, number = at.partition(":")
        self._number = int(number or 0)
        self._log = Path(log) if log else None
        self._hits: Counter[str] = Counter()
        self._guard = threading.Lock()

    def __call__(self, name: str) -> None:
        with self._guard:
            self._hits.update((name, ANY))
            self._write(name)
            if self._name in (name, ANY) and self._hits[self._name] == self._number and not self._has_died():
                self._write(f"{DEATH}{name}:{self._hits[name]}")
                os.kill(os.getpid(), signal.SIGKILL)

    def _write(self, line: str) -> None:
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"{line}\n")

    def _has_died(self) -> bool:
        return self._log is not None and DEATH in self._log.read_text(encoding="utf-8")


def chosen(environment: Mapping[str, str]) -> Callable[[str], None]:
    """What `point` is to be; raises ValueError for a CYBORG_CRASH_AT that is none."""
    at, log = environment.get(AT, ""), environment.get(LOG, "")
    return Armed(at, log) if at or log else _nothing


def _nothing(name: str) -> None:
    """As good as not there."""


point = chosen(os.environ)
