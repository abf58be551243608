# SPDX-License-Identifier: Apache-2.0
"""Trees of files that are used again: one that shows a host is put right and not written anew, a tenth of the work.

    stock = Stock(directory)
    with stock.lend("plain", recorded.contents(data)) as root:
        ...                                             # anything may be done to what is below root

What was done to a tree is seen by the times of its files and directories, which are set to long ago.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from cyborg.drivers import recorded
from cyborg.drivers.recorded import Content, Contents

#: What changes with whatever is done to a file or directory.
Mark: TypeAlias = tuple[int, ...]
LONG_AGO = (0, 0)


class Stock:
    """All trees are below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._free: dict[str, list[Tree]] = {}
        self._made = 0
        self._age = 0

    @contextlib.contextmanager
    def lend(self, name: str, contents: Contents) -> Iterator[Path]:
        """The root of a tree with these contents; hosts of one ``name`` are much alike."""
        free, age = self._free.setdefault(name, []), self._age
        tree = next((one for one in free if one.contents is contents), None) or (free[-1] if free else self._new())
        if tree in free:
            free.remove(tree)
        tree.become(contents)
        yield tree.root
        if age == self._age:
            free.append(tree)

    def abandon(self) -> None:
        """None of the trees lent now comes back: somebody who will not end may write to them."""
        self._age += 1

    def _new(self) -> "Tree":
        self._made += 1
        return Tree(self._directory / str(self._made))


class Tree:
    """``contents`` are the last ones that it was given."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.contents: Contents = {}
        self._marks: dict[str, Mark] = {}
        root.mkdir(parents=True)

    def become(self, contents: Contents) -> None:
        """Whatever was done to it."""
        spoiled = self._spoiled()
        touched = {""} | spoiled
        for path in self.contents:
            if path not in contents:
                _remove(self._place(path))
                touched |= {path, _above(path)}
        for path, content in contents.items():
            if path in spoiled or path not in self.contents or self.contents[path] != content:
                self._put(path, content)
                touched |= {path, _above(path)}
        self.contents = contents
        for path in touched:
            self._marks.pop(path, None)
            if path == "" or not isinstance(contents.get(path, ""), str):
                os.utime(self._place(path), ns=LONG_AGO)
                self._marks[path] = _mark(os.lstat(self._place(path)))

    def _place(self, path: str) -> str:
        return f"{self.root}/{path}"

    def _put(self, path: str, content: Content) -> None:
        place = self._place(path)
        if content is not None or not _is_directory(place):
            _remove(place)
        recorded.write(place, content)

    def _spoiled(self) -> set[str]:
        """What is not as it was written; what was put into the tree is removed from it."""
        found: set[str] = set()
        for path, content in (("", None), *self.contents.items()):
            if isinstance(content, str):
                if _above(path) in found and not self._links(path):
                    found.add(path)
            elif self._mark_of(path) != self._marks.get(path):
                found.add(path)
                if content is None:
                    self._clear(path)
        return found

    def _mark_of(self, path: str) -> Mark | None:
        try:
            return _mark(os.lstat(self._place(path)))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _clear(self, path: str) -> None:
        """Remove what does not belong into the directory, or is in its place; its mode is what it was."""
        place = self._place(path)
        if not _is_directory(place):
            _remove(place)
            return
        if path in self._marks:
            os.chmod(place, stat.S_IMODE(self._marks[path][0]))  # noqa: PTH101
        for name in os.listdir(place):  # noqa: PTH208 - here and below: paths as text, of which there are very many
            if (f"{path}/{name}" if path else name) not in self.contents:
                _remove(f"{place}/{name}")

    def _links(self, path: str) -> bool:
        try:
            return os.readlink(self._place(path)) == self.contents[path]  # noqa: PTH115
        except OSError:
            return False


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _mark(found: os.stat_result) -> Mark:
    return (found.st_mode, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)


def _is_directory(place: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(place).st_mode)
    except OSError:
        return False


def _remove(place: str) -> None:
    if _is_directory(place):
        shutil.rmtree(place)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(place)  # noqa: PTH108
