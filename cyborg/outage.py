# SPDX-License-Identifier: Apache-2.0
"""Trouble that lasts, in two log lines: one when it starts and one when it ends.

placement = Outage("Placement")
with placement.watched():           # every minute
    publisher.publish(view)         # what it raises is logged once, until it changes or ends
"""

import contextlib
from collections.abc import Iterator

from oslo_log import log

from cyborg.domain import errors

LOG = log.getLogger(__name__)


class Outage:
    """``what`` is the subject of the log lines, ``again`` when it is tried the next time."""

    def __init__(self, what: str, *, again: str = "with every report") -> None:
        self._what = what
        self._again = again
        self._trouble: str | None = None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Swallows domain errors: the caller tries again with its next round. Other errors are bugs and pass."""
        trouble = None
        try:
            yield
        except errors.CyborgError as exc:
            trouble = exc
        # Not in the handler: there oslo.log would add the error to a line that tells it already.
        if trouble is None:
            self.is_over()
        else:
            self.goes_on(trouble)

    def goes_on(self, exc: errors.CyborgError) -> None:
        """Log ``exc`` unless this trouble is known."""
        # A service that is away fails in many words, each of which says the same.
        trouble = exc.code if isinstance(exc, errors.Unavailable) else exc.message
        if trouble != self._trouble:
            LOG.warning("%s: %s It is tried again %s.", self._what, exc.message, self._again)
        self._trouble = trouble

    def is_over(self) -> None:
        """Log it if there was trouble."""
        if self._trouble is not None:
            LOG.info("%s: well again.", self._what)
        self._trouble = None
