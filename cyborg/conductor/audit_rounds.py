# SPDX-License-Identifier: Apache-2.0
"""The audit that a conductor makes now and then: it mends nothing, and says something when its outcome changed."""

from collections import Counter

from oslo_config import cfg
from oslo_log import log

from cyborg.conductor.auditing import Auditor
from cyborg.conductor.recurring import Notes, Turn
from cyborg.domain import wire
from cyborg.placement.client import PlacementClient
from cyborg.store.engine import Store

LOG = log.getLogger(__name__)


class AuditRounds:
    """The outcome is kept with the turn, so it does not matter which conductor had the last one."""

    def __init__(self, conf: cfg.ConfigOpts, store: Store) -> None:
        self._conf = conf
        self._store = store
        self._client: PlacementClient | None = None

    def run(self, turn: Turn) -> Notes:
        self._client = self._client or PlacementClient.from_conf(self._conf)
        whole = True

        def goes_on() -> bool:
            nonlocal whole
            whole = turn.goes_on()
            return whole

        found = list(Auditor(self._conf, self._store, self._client, goes_on=goes_on).run())
        if not whole:
            return turn.notes
        outcome = wire.digest(sorted(one.key for one in found)) if found else ""
        if outcome != turn.notes.get("outcome", ""):
            counts = Counter(str(one.kind) for one in found)
            text = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
            if found:
                LOG.warning("Audit: %s. 'cyborg-manage audit' tells where and why.", text)
            else:
                LOG.info("Audit: no differences any more")
        return {"outcome": outcome}
