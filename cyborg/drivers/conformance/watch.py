# SPDX-License-Identifier: Apache-2.0
"""What Python opens, changes and starts while a driver looks, from the interpreter's audit events.

An audit hook cannot be taken out again, so there is one for the whole process, which is deaf most of the time.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

STARTS = frozenset({"subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.exec"})
CHANGES = frozenset(
    {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.symlink", "os.link"}
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
KERNEL = ("/sys/", "/proc/", "/dev/")
HARMLESS = frozenset({"/dev/null", "/dev/urandom"})


@dataclass(kw_only=True)
class Seen:
    """``root`` is the host's; what happens elsewhere counts only where the kernel of this machine would notice."""

    root: str
    read: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in STARTS:
            self.started.append(f"{event} {arguments[0] if arguments else ''}")
            return
        path = os.fsdecode(arguments[0]) if arguments and isinstance(arguments[0], str | bytes | os.PathLike) else ""
        inside = path.startswith(self.root)
        if path in HARMLESS or not (inside or path.startswith(KERNEL)):
            return
        if event in CHANGES or (event == "open" and int(arguments[2] or 0) & WRITES):
            self.changed.append(path)
        elif event == "open" and inside:
            self.read.append(path)
        elif event == "open":
            self.outside.append(path)

    @property
    def names_read(self) -> set[str]:
        return {PurePath(path).name for path in self.read}


_listening: list[Seen] = []
_lock = threading.Lock()
_hooked: list[bool] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _listening and (event == "open" or event in STARTS or event in CHANGES):
        _listening[0].note(event, arguments)


@contextlib.contextmanager
def watched(root: os.PathLike[str]) -> Iterator[Seen]:
    """One at a time in a process."""
    with _lock:
        if not _hooked:
            sys.addaudithook(_hear)
            _hooked.append(True)
        seen = Seen(root=f"{os.fspath(root)}/")
        _listening.append(seen)
        try:
            yield seen
        finally:
            _listening.clear()
