# SPDX-License-Identifier: Apache-2.0
"""The vendors' command-line tools, for the few things that no file of the kernel tells.

    host.tools.run("npu-smi", "info", "-l")      what it printed, or None

A tool is found on a search path and started with its arguments as they are, never through a shell. Whatever goes
wrong is the same answer, None: it is not installed, fails, prints no text or takes too long. One that took too long
is left alone for a while, because a card that hangs would otherwise cost every scan the same wait.
"""

import os
import shutil
import signal
import subprocess
import time

from oslo_log import log

LOG = log.getLogger(__name__)

TIMEOUT = 10.0
#: Seconds for which a tool that hung is not started again.
PAUSE = 300.0
#: How long a killed tool gets to end; one that hangs inside the kernel does not.
GRACE = 1.0


class Tools:
    """``path`` is where to look, as in the variable PATH; None is that variable, "" nowhere."""

    def __init__(self, path: str | None = None, timeout: float = TIMEOUT) -> None:
        self._path = os.environ.get("PATH", os.defpath) if path is None else path
        self._timeout = timeout
        self._left_alone: dict[str, float] = {}
        self._undead: list[subprocess.Popen[bytes]] = []

    def run(self, *command: str) -> str | None:
        """The standard output of a command that succeeded."""
        self._undead = [process for process in self._undead if process.poll() is None]
        name = command[0]
        program = shutil.which(name, path=self._path)
        if program is None or time.monotonic() < self._left_alone.get(name, 0.0):
            return None
        try:
            return self._output(program, command[1:])
        except subprocess.TimeoutExpired:
            self._left_alone[name] = time.monotonic() + PAUSE
            LOG.warning("%s took longer than %g seconds and is left alone for %g.", name, self._timeout, PAUSE)
        except OSError as exc:
            LOG.debug("%s cannot be started: %s", program, exc)
        return None

    def _output(self, program: str, arguments: tuple[str, ...]) -> str | None:
        process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{self._path}:{os.defpath}", "LC_ALL": "C"},
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=self._timeout)
        except subprocess.TimeoutExpired:
            self._kill(process)
            raise
        return output.decode("utf-8", "replace") if process.returncode == 0 else None

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """With its children. One that does not even die is kept, so that it can be reaped when it does."""
        os.killpg(process.pid, signal.SIGKILL)
        try:
            process.communicate(timeout=GRACE)
        except subprocess.TimeoutExpired:
            self._undead.append(process)
