# SPDX-License-Identifier: Apache-2.0
"""What host work was finished here, on disk: who asks again, after a crash of either side, gets the same answer.

One small file for each piece of work below ``state_path``. An entry counts only until the host restarts, because what
was made does not outlive that; doing a step again does no harm. That an operation is over outlives it.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from oslo_log import log

from cyborg.domain import errors

LOG = log.getLogger(__name__)
#: Seconds for which a finished piece of work is remembered; nobody asks again after so long.
KEPT = 7 * 24 * 3600
PRUNE_EVERY = 1000


class Journal:
    """For any number of threads. ``boot`` is any text that changes when the host restarts."""

    def __init__(self, directory: Path, boot: str) -> None:
        self._directory = directory
        self._boot = boot
        self._added = 0

    def find(self, *key: str) -> dict[str, Any] | None:
        """What was kept under ``key``; None when nothing was, or cannot be read: then the work is done again."""
        entry = self._read(self._file(key))
        return entry["answer"] if entry is not None and entry["key"] == list(key) else None

    def entries(self) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
        """All that is kept, as key and answer, in the order in which it was kept."""
        try:
            files = sorted(self._directory.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        except OSError:
            return []
        found = [entry for file in files if (entry := self._read(file)) is not None]
        return [(tuple(map(str, entry["key"])), entry["answer"]) for entry in found]

    def keep(self, answer: dict[str, Any], *key: str, lasting: bool = False) -> None:
        """On disk when this returns, and ``lasting`` over restarts of the host; Unavailable when that cannot be."""
        file = self._file(key)
        text = json.dumps({"boot": None if lasting else self._boot, "key": key, "answer": answer})
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            if self._added % PRUNE_EVERY == 0:
                self._prune()
            unfinished = file.with_suffix(".new")
            with unfinished.open("w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(file)
        except OSError as exc:
            raise errors.Unavailable(
                f"{file} cannot be written ({exc.strerror}), so finished work would not be remembered. "
                "Check the disk and the rights of [DEFAULT] state_path."
            ) from exc
        self._added += 1

    def _read(self, file: Path) -> dict[str, Any] | None:
        try:
            entry = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(entry, dict) or not isinstance(entry.get("key"), list):
            return None
        counts = entry.get("boot", self) in (None, self._boot) and isinstance(entry.get("answer"), dict)
        return entry if counts else None

    def _file(self, key: tuple[str, ...]) -> Path:
        return self._directory / hashlib.sha256("\0".join(key).encode()).hexdigest()

    def _prune(self) -> None:
        oldest = time.time() - KEPT
        for file in self._directory.iterdir():
            if file.stat().st_mtime < oldest:
                file.unlink(missing_ok=True)
