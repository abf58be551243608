# SPDX-License-Identifier: Apache-2.0
"""What is left lying does not stay for ever: requests that are not bound, and operations that were given up."""

import datetime

from oslo_config import cfg
from oslo_log import log

from cyborg.conductor.recurring import Notes, Turn
from cyborg.store import arqs, operations
from cyborg.store.engine import Store

LOG = log.getLogger(__name__)
BATCH = 200
INTERVAL = 600.0


class Expiry:
    """[conductor] arq_expiry is not 0."""

    def __init__(self, conf: cfg.ConfigOpts, store: Store) -> None:
        self._age = datetime.timedelta(seconds=conf.conductor.arq_expiry)
        self._store = store

    def run(self, turn: Turn) -> Notes:
        total = 0
        while (gone := self._store.retrying(self._batch)) == BATCH and turn.goes_on():
            total += gone
        total += gone
        if total:
            LOG.info("%d accelerator request(s) that were not bound for %s are deleted", total, self._age)
        return {}

    def _batch(self) -> int:
        with self._store.transaction() as tx:
            return arqs.expire(tx, operations.now() - self._age, BATCH)


class Retention:
    """Operations that were given up, after [conductor] operation_retention."""

    def __init__(self, conf: cfg.ConfigOpts, store: Store) -> None:
        self._age = datetime.timedelta(seconds=conf.conductor.operation_retention)
        self._store = store

    def run(self, turn: Turn) -> Notes:
        while self._store.retrying(self._batch) == BATCH and turn.goes_on():
            pass
        return {}

    def _batch(self) -> int:
        with self._store.transaction() as tx:
            return operations.purge(tx, operations.now() - self._age, BATCH)
