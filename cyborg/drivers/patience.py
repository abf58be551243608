# SPDX-License-Identifier: Apache-2.0
"""Waiting for hardware, which tells nobody when it is ready."""

import time
from collections.abc import Callable

from cyborg.domain import errors

PAUSE, LONGEST_PAUSE = 0.005, 5.0
#: Looks in a time that is used up; so much of it may be waited too long.
LOOKS = 20


def until(is_so: Callable[[], bool], patience: float, otherwise: str) -> None:
    """Looks more and more seldom; ``patience`` is in seconds.

    Raises DriverError, which says ``otherwise``, when it takes longer.
    """
    deadline, pause = time.monotonic() + patience, PAUSE
    while not is_so():
        if time.monotonic() > deadline:
            raise errors.DriverError(otherwise)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE, max(PAUSE, patience / LOOKS))
