# SPDX-License-Identifier: Apache-2.0
"""Commands as real processes, each with its own process group, so that a kill takes its workers with it.

Our own are forked from one that has imported them, unless ``forked=False``; see `cyborg.tests.functional.forks`.

with Process("conductor", command("cyborg-conductor", "--config-file", path), directory) as conductor:
    conductor.wait_for("Conductor started")
    seconds = conductor.stop()
"""

import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from cyborg.tests.functional import forks
from cyborg.tests.waiting import until

PATIENCE = 30.0


def command(name: str, *arguments: str | Path) -> list[str]:
    """The installed console script ``name``, as an operator starts it."""
    return [forks.script(name), *map(str, arguments)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """Started at once; ended, by force if need be, with the block. What it said is shown when the block fails."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        directory: Path,
        environment: Mapping[str, str] | None = None,
        *,
        user: str | None = None,
        forked: bool = True,
    ) -> None:
        self.name = name
        self._log = directory / f"{name}.log"
        self._from = self._log.stat().st_size if self._log.exists() else 0
        self._process = forks.start(argv, self._log, directory, environment or {}, user=user, forked=forked)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"--- {self.name}\n{self.output}")
        self.kill()

    @property
    def output(self) -> str:
        """All it said so far."""
        return self._log.read_bytes()[self._from :].decode()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, text: str) -> None:
        """Until it says ``text``; AssertionError if it ends before."""

        def said() -> bool:
            assert self.runs, f"{self.name} ended with {self._process.returncode}:\n{self.output}"
            return text in self.output

        until(f"{self.name} says {text!r}", said, patience=PATIENCE)

    def wait_end(self, patience: float = PATIENCE) -> int:
        """Its exit status."""
        return self._process.wait(patience)

    def ask_to_stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    def stop(self) -> tuple[int, float]:
        """Its exit status, and how many seconds it took."""
        before = time.monotonic()
        self.ask_to_stop()
        return self.wait_end(), time.monotonic() - before

    def kill(self) -> None:
        """At once, with its workers; may be called twice."""
        if self.runs:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
