# SPDX-License-Identifier: Apache-2.0
"""Our commands as processes that start at once: forked from a parent that has imported them.

    argv = [forks.script("cyborg-agent"), "--config-file", "/some/cyborg.conf"]
    process = forks.start(argv, directory / "agent.log", directory, {"CYBORG_CRASH_AT": "*:3"})

What a start costs is mostly imports, two to four seconds of processor time each. Each child is a process of its own
with its own session, command line, environment and exit, and runs the same ``main`` as the console script does; what
it does not show is that the script is there and starts; ``forked=False`` does. Where the environment has more than
options, or the program is not ours, the start is always real.

The parent has one thread, imports a command when it is first asked for, and ends with the process of the tests.
"""

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COMMANDS = ("agent", "api", "conductor", "dbsync", "manage", "standalone", "status")
#: Variables that are read while a process runs; the others may decide how Python itself starts.
READ_LATE = ("CYBORG_", "OS_")
POLL = 0.01
#: Each line in is a question, each line out its answer. The answer to a start comes from the child, once it is apart.
PARENT = """
import importlib, json, os, sys
from cyborg import crash

def become(asked):
    os.setsid()
    os.chdir(asked["directory"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = asked["argv"]
    crash.point = crash.chosen(os.environ)
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    print(os.getpid(), flush=True)
    for old, new in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(old, new)
    os.close(nothing)
    os.close(log)

while line := sys.stdin.readline():
    asked = json.loads(line)
    if "pid" in asked:
        pid, status = os.waitpid(asked["pid"], os.WNOHANG)
        print(json.dumps(os.waitstatus_to_exitcode(status) if pid else None), flush=True)
        continue
    main = importlib.import_module(asked["module"]).main
    if not os.fork():
        become(asked)
        sys.exit(main())
"""


class Forked:
    """As much of ``subprocess.Popen`` as the tests use."""

    def __init__(self, parent: "_Parent", pid: int) -> None:
        self._parent = parent
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        if self.returncode is None:
            self.returncode = self._parent.ask(pid=self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if timeout is not None and deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(POLL)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Parent:
    """May be asked by any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-c", PARENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # it is not for a Ctrl-C at the terminal
        )

    def ask(self, **question: Any) -> Any:
        with self._guard:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{json.dumps(question)}\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate()


@functools.cache
def _parent() -> _Parent:
    found = _Parent()
    atexit.register(found.end)
    return found


def script(name: str) -> str:
    """The installed console script."""
    return str(Path(sys.executable).parent / name)


def start(
    argv: Sequence[str],
    log: Path,
    directory: Path,
    environment: Mapping[str, str],
    *,
    user: str | None = None,
    forked: bool = True,
) -> subprocess.Popen[bytes] | Forked:
    """Anything, in a session of its own, and forked where that is possible and not forbidden.

    ``environment`` is added to ours; what the process says is added to ``log``.
    """
    together = os.environ | dict(environment)
    module = _module(argv)
    if module and forked and user is None and all(name.startswith(READ_LATE) for name in environment):
        places = {"log": str(log.absolute()), "directory": str(directory)}
        pid = _parent().ask(module=module, argv=list(argv), environment=together, **places)
        return Forked(_parent(), int(pid))
    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=together,
            start_new_session=True,
            user=user,
        )


def _module(argv: Sequence[str]) -> str | None:
    """Of the command whose console script that is; None for anything else."""
    name = Path(argv[0]).name.removeprefix("cyborg-")
    return f"cyborg.cmd.{name}" if name in COMMANDS and argv[0] == script(f"cyborg-{name}") else None
