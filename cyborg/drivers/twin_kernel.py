# SPDX-License-Identifier: Apache-2.0
"""What all parts of a `twin` need to answer as a kernel does."""

import os
from pathlib import Path
from typing import NoReturn


def fail(code: int) -> NoReturn:
    raise OSError(code, os.strerror(code))


def read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
