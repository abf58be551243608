# SPDX-License-Identifier: Apache-2.0
"""A part of a file as the readers of formats see it: a size that is known, and pieces by offset.

A piece is there whole or the image is refused, so nobody works with half a header.
"""

import hashlib
import os
from typing import BinaryIO

from cyborg.drivers.images.verdict import Refused

PIECE = 1 << 20


class Window:
    """The file from ``start`` on; raises OSError when it cannot be read."""

    def __init__(self, file: BinaryIO, start: int = 0) -> None:
        self._file = file
        self.start = start
        self.size = max(0, file.seek(0, os.SEEK_END) - start)

    def behind(self, length: int) -> "Window":
        """What follows the first ``length`` bytes."""
        return Window(self._file, self.start + length)

    def head(self, length: int) -> bytes:
        """The first bytes, or as many as there are."""
        self._file.seek(self.start)
        return self._file.read(length)

    def piece(self, offset: int, length: int, what: str) -> bytes:
        """Exactly these bytes; refused as ``too_short`` when they are not there. ``what`` names them."""
        data = b""
        if offset + length <= self.size:
            self._file.seek(self.start + offset)
            data = self._file.read(length)
        if len(data) != length:
            raise Refused(
                "too_short",
                f"It ends after {self.size} bytes, and {what} takes those from {offset} to {offset + length}.",
            )
        return data

    def digests(self, *names: str) -> list[bytes]:
        """Of all that is in the window, by algorithms of hashlib; read once."""
        found = [hashlib.new(name) for name in names]
        self._file.seek(self.start)
        while piece := self._file.read(PIECE):
            for each in found:
                each.update(piece)
        return [each.digest() for each in found]
