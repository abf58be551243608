# SPDX-License-Identifier: Apache-2.0
"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable

PATIENCE = 30.0
PAUSE = 0.02


def until(what: str, holds: Callable[[], bool], *, patience: float = PATIENCE) -> None:
    """Wait for what happens a moment later; raises AssertionError when it does not, after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"not so after {patience:g} seconds: {what}"
        time.sleep(PAUSE)
