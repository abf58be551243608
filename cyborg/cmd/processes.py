# SPDX-License-Identifier: Apache-2.0
"""Run a service as worker processes: signals, graceful stop and restart are oslo.service's."""

import sys
from collections.abc import Callable
from typing import Protocol

from oslo_config import cfg
from oslo_log import log
from oslo_service import service

from cyborg.domain import errors

LOG = log.getLogger(__name__)


class Running(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...


class Worker(service.ServiceBase):
    """Builds its service in the process that runs it, so that nothing is shared across the fork."""

    def __init__(self, build: Callable[[], Running]) -> None:
        self._build = build
        self._running: Running | None = None

    def start(self) -> None:
        try:
            self._running = self._build()
            self._running.start()
        except (errors.CyborgError, OSError) as exc:
            LOG.error("Cannot start: %s", exc)
            sys.exit(1)

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()

    def wait(self) -> None:
        """Nothing to wait for: `stop` returns when all is done."""

    def reset(self) -> None:
        """SIGHUP: mutable options are read again by oslo.service; nothing else changes."""


def run(conf: cfg.ConfigOpts, build: Callable[[], Running], workers: int = 1) -> None:
    """Run until SIGTERM or SIGINT; each worker builds its own service."""
    service.launch(conf, Worker(build), workers=workers, restart_method="mutate").wait()
