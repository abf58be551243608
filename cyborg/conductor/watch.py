# SPDX-License-Identifier: Apache-2.0
"""Hosts whose agents fell silent: what is free there is taken off the market, until the agent speaks again.

    1  Placement: everything of ours on the host is closed; what is held stays held
    2  books: the host is down, and its view offers nothing new
    3  the agent speaks: the host is up in that statement, its view is another one, and the agent publishes it

A host that speaks between 1 and 2 is not marked, and its agent gets its view again at once to open what was closed.
A conductor that dies between them is followed by one that begins anew.
"""

import dataclasses
import datetime
import time
from collections.abc import Callable

from oslo_config import cfg
from oslo_log import log

from cyborg.conductor import announcer
from cyborg.conductor.auditing import close
from cyborg.conductor.notices import Notices
from cyborg.conductor.recurring import Notes, Turn
from cyborg.domain import inventory, liveness, view
from cyborg.placement.mover import Mover
from cyborg.store import hosts, operations
from cyborg.store.engine import Store

LOG = log.getLogger(__name__)
BATCH = 50
#: When more hosts than this fall silent and nobody at all was heard, it is the messages that do not arrive.
FEW = 3


class Watch:
    """``mover`` makes one where there are credentials for Placement; None only refuses binds and marks the host."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        store: Store,
        announcing: announcer.Announcer,
        mover: Callable[[], Mover] | None,
        told: Notices,
    ) -> None:
        self._patience = datetime.timedelta(seconds=conf.api.host_down_after)
        self._store = store
        self._announcer = announcing
        self._make_mover = mover
        self._notices = told
        self._mover: Mover | None = None
        self._listening_since = time.monotonic()
        self._deaf = False

    @property
    def interval(self) -> float:
        return max(self._patience.total_seconds() / 4, 1.0)

    def run(self, turn: Turn) -> Notes:
        """Nothing before agents had a whole ``host_down_after`` to be heard by this conductor."""
        if time.monotonic() - self._listening_since < self._patience.total_seconds():
            return {}
        limit = operations.now() - self._patience
        with self._store.reading() as tx:
            silent = hosts.silent(tx, limit, BATCH)
            deaf = len(silent) > FEW and not hosts.any_heard(tx, limit)
        if deaf and not self._deaf:
            LOG.warning(
                "No agent at all was heard of for %s: messages do not arrive, hosts stay as they are", self._patience
            )
        self._deaf = deaf
        for name in () if deaf else silent:
            if not turn.goes_on():
                break
            self._take_down(name)
        return {}

    def _take_down(self, name: str) -> None:
        with self._store.reading() as tx:
            host = hosts.load(tx, name)
        if host is None or not self._is_silent(host):
            return
        if self._make_mover is not None and host.provider_uuid is not None and host.moving_to is None:
            self._mover = self._mover or self._make_mover()
            close(self._mover, host)
        after = self._store.retrying(self._mark, name)
        if after is None:
            return
        if after.down_since is None:
            self._announcer.announce([after])
        else:
            LOG.warning("Host %s is down: its agent was last heard of at %s", name, after.seen_at)

    def _mark(self, name: str) -> inventory.Host | None:
        """Down, or given its view once more because it spoke while it was being closed."""
        with self._store.transaction() as tx:
            before = hosts.load(tx, name)
            if before is None:
                return None
            if self._is_silent(before):
                self._notices.host_down(tx, name)
                return hosts.save(tx, before, view.advance(before, _down(before)))
            return hosts.save(tx, before, dataclasses.replace(before, generation=before.generation + 1))

    def _is_silent(self, host: inventory.Host) -> bool:
        return liveness.is_down(host, operations.now(), self._patience)


def _down(host: inventory.Host) -> inventory.Host:
    return dataclasses.replace(host, down_since=operations.now())
