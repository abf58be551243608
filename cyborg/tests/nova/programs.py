# SPDX-License-Identifier: Apache-2.0
"""The processes of the cloud by name: each is started again as it was started first.

with Programs(directory) as programs:
    programs.define("conductor", [...])
    programs.start("conductor")
    programs.kill("conductor")
    programs.start("conductor")
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cyborg.tests.functional import processes

#: Seconds. A process of Nova takes several to start, and here many start at once.
PATIENCE = 120.0
PAUSE = 0.2


def until(what: str, holds: Callable[[], bool], seen: Callable[[], Any] = lambda: "") -> None:
    """Wait for what happens a while later, without keeping those busy who make it happen.

    Raises AssertionError, with what is ``seen`` instead, when it does not.
    """
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not so after {PATIENCE:g} seconds: {what}: {seen()}"
        time.sleep(PAUSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    argv: Sequence[str]
    #: What it says when it can be used.
    ready: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


class Programs:
    """All are killed with the block. What they said is in ``NAME.log`` below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._commands: dict[str, Command] = {}
        self._running: dict[str, processes.Process] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running.values():
            process.kill()

    def define(self, name: str, command: Command) -> None:
        self._commands[name] = command

    def start(self, *names: str) -> None:
        """Those that do not run; returns when all say that they are ready."""
        for name in names:
            if not self.runs(name):
                command = self._commands[name]
                self._running[name] = processes.Process(name, command.argv, self._directory, command.environment)
        for name in names:
            self.wait_for(name, self._commands[name].ready)

    def wait_for(self, name: str, text: str) -> None:
        """Until it says ``text``, or has said so since it was started."""

        def said() -> bool:
            assert self.runs(name), f"{name} ended:\n{self.said(name)[-3000:]}"
            return text in self.said(name)

        until(f"{name} says {text!r}", said)

    def runs(self, name: str) -> bool:
        return name in self._running and self._running[name].runs

    def said(self, name: str) -> str:
        """Since it was started last."""
        return self._running[name].output

    def kill(self, name: str) -> None:
        """At once, as a crash does."""
        self._running[name].kill()

    def stop(self, name: str) -> None:
        """As an operator does."""
        self._running[name].stop()
