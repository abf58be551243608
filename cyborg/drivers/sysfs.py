# SPDX-License-Identifier: Apache-2.0
"""One place in a tree of kernel files, and the one rule for what cannot be read there.

A file that is missing, answers with an error or holds bytes that are no text is a fact about the hardware, not an
exception: it reads as None, and bad text with replacement characters. Only trouble of our own process (no more
file descriptors, no more memory) is raised, because it would make every device look gone.

    device = Node(root=Path("/sys"), path="bus/pci/devices/0000:3b:00.0")
    (device / "vendor").text()            "0x10de"
    (device / "numa_node").number()       None when it is not a number
    (device / "driver").target_name()     "nvidia", and target() is the Node of bus/pci/drivers/nvidia, in the same root
"""

import errno
import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from cyborg.domain import errors

OUR_TROUBLE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
#: Attributes are at most a page; the files of procfs that we read are not much longer.
MOST = 1 << 20
PIECE = 1 << 14
WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A file or directory; ``path`` is relative to ``root``. It need not exist."""

    root: Path
    path: str

    def __truediv__(self, name: str) -> "Node":
        return Node(root=self.root, path=f"{self.path}/{name}" if self.path else name)

    @property
    def name(self) -> str:
        return posixpath.basename(self.path)

    @property
    def root_node(self) -> "Node":
        return Node(root=self.root, path="")

    @property
    def full(self) -> Path:
        return self.root / self.path

    @property
    def _place(self) -> str:
        """`full` as plain text: a scan reads thousands of files, and making paths took longer than reading them."""
        return f"{self.root}/{self.path}"

    def present(self) -> bool:
        """Whether it is there; it may still be unreadable."""
        return os.path.lexists(self._place)

    def text(self) -> str | None:
        """The content without surrounding blanks; None when it cannot be read, "" when it is empty."""
        try:
            return _content(self._place).decode("utf-8", "replace").strip(" \t\r\n\0")
        except OSError as exc:
            _raise_ours(exc)
            return None

    def number(self, base: int = 10) -> int | None:
        """The content as a number, with ``base`` 0 in whatever base its prefix says; None when it is none."""
        text = self.text()
        try:
            return int(text, base) if text else None
        except ValueError:
            return None

    def names(self) -> frozenset[str] | None:
        """What the directory lists; None when it cannot be listed."""
        try:
            return frozenset(filter(str.isprintable, os.listdir(self._place)))
        except OSError as exc:
            _raise_ours(exc)
            return None

    def children(self, pattern: str = "*") -> Iterator["Node"]:
        """The entries whose name matches, numbers in their names in numeric order; none when unreadable."""
        if not WILD.search(pattern):
            if (self / pattern).present():
                yield self / pattern
            return
        found = (name for name in self.names() or () if fnmatchcase(name, pattern))
        for name in sorted(found, key=lambda name: (len(name), name)):
            yield self / name

    def search(self, pattern: str) -> Iterator["Node"]:
        """Every match of a pattern with slashes, ``*/hwmon/hwmon*``."""
        first, _, rest = pattern.partition("/")
        if not rest:
            yield from self.children(first)
        elif not WILD.search(first):
            # Nothing is listed on the way to a name that is known.
            yield from (self / first).search(rest)
        else:
            for child in self.children(first):
                yield from child.search(rest)

    def target_name(self) -> str | None:
        """The last part of where the symbolic link points, wherever that is; None for what is no link."""
        try:
            name = posixpath.basename(os.readlink(self._place))
        except OSError as exc:
            _raise_ours(exc)
            return None
        return name if name.isprintable() else None

    def target(self) -> "Node | None":
        """Where the symbolic link points, cut back to the root; None for what is no link or leaves the root."""
        try:
            link = os.readlink(self._place)
        except OSError as exc:
            _raise_ours(exc)
            return None
        here = os.path.realpath(posixpath.dirname(self._place))
        root = os.path.realpath(self.root)
        inside = posixpath.relpath(posixpath.normpath(posixpath.join(here, link)), root)
        return None if inside.startswith("..") else Node(root=self.root, path=inside)


def _content(place: str) -> bytes:
    """Without a buffer, which would be larger than what is read; files of procfs come in pieces."""
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = piece = os.read(descriptor, PIECE)
        while piece and len(found) < MOST:
            piece = os.read(descriptor, PIECE)
            found += piece
        return found
    finally:
        os.close(descriptor)


def _raise_ours(exc: OSError) -> None:
    if exc.errno in OUR_TROUBLE:
        raise errors.HostUnreadable(
            f"This host cannot be read now: {exc.strerror}. Raise the limits of the agent's process."
        ) from exc
