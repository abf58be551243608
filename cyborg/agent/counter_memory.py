# SPDX-License-Identifier: Apache-2.0
"""Error counters across a restart of the agent: without, every old error of every card would look new after it.

One small file below ``state_path``, written when a counter changed. It counts until the host restarts, because the
counters do.
"""

import json
from pathlib import Path

from oslo_log import log

from cyborg.drivers.counters import Counters

LOG = log.getLogger(__name__)


class CounterMemory:
    """``boot`` is any text that changes when the host restarts; without one nothing is kept."""

    def __init__(self, counters: Counters, file: Path, boot: str) -> None:
        self._counters = counters
        self._file = file
        self._boot = boot
        self._kept = 0
        self._failing = False

    def recall(self) -> None:
        """Once, before the first look; what cannot be read is done without."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            if self._boot and found["boot"] == self._boot:
                self._counters.recall(found["counters"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError) as exc:
            LOG.warning("%s is not understood, so the errors of before count as new: %s", self._file, exc)

    def keep(self) -> None:
        """After a look; does nothing when nothing changed, and is tried again with the next one when it fails."""
        changes = self._counters.changes
        if changes == self._kept or not self._boot:
            return
        unfinished = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps({"boot": self._boot, "counters": self._counters.kept()}), "utf-8")
            unfinished.replace(self._file)
        except OSError as exc:
            if not self._failing:
                LOG.warning(
                    "%s cannot be written (%s): after a restart of the agent old errors count as new. "
                    "Check the disk and the rights of [DEFAULT] state_path.",
                    *(self._file, exc.strerror),
                )
            self._failing = True
        else:
            self._kept, self._failing = changes, False
