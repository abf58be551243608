# SPDX-License-Identifier: Apache-2.0
"""Run a service as worker processes: signals, graceful stop and replacement of dead workers are oslo.service's.

What ours adds is an end for services that cannot start. oslo.service starts a worker that ended again, for ever;
a worker that finds the configuration wrong says so in one line, and the whole service ends with status 1.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from typing import Protocol

import keystoneauth1.exceptions
import oslo_messaging
from oslo_config import cfg
from oslo_log import log
from oslo_service import service

from cyborg import conf as configuration
from cyborg.domain import errors

LOG = log.getLogger(__name__)
#: What an operator can mend; the message says it all.
EXPECTED = (
    errors.CyborgError,
    cfg.Error,
    keystoneauth1.exceptions.ClientException,
    log.LogConfigError,
    oslo_messaging.MessagingException,
    OSError,
)


class Running(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...


class Worker(service.ServiceBase):
    """Builds its service in the process that runs it, so that nothing is shared across the fork."""

    def __init__(self, build: Callable[[], Running]) -> None:
        self._build = build
        self._running: Running | None = None
        self._launcher = os.getpid()
        self._failed = multiprocessing.get_context("fork").Event()

    @property
    def failed(self) -> bool:
        """Whether some process could not start its service."""
        return self._failed.is_set()

    def start(self) -> None:
        reason = ""
        try:
            running = self._build()
            running.start()
        except EXPECTED as exc:
            reason = str(exc)
        except Exception:  # a process's edge: the trace is for us, the end for the operator
            reason = "this was not foreseen"
            LOG.exception("A process failed")
        else:
            self._running = running
        if reason:
            # Not in the handlers above: oslo.log would say everything twice.
            LOG.error("Cannot start: %s", reason)
            self._give_up()

    def stop(self) -> None:
        """Returns when what is in hand is done; a service that is still starting has nothing in hand."""
        if self._running is not None:
            self._running.stop()

    def wait(self) -> None:
        """Nothing to wait for: `stop` returns when all is done."""

    def reset(self) -> None:
        """SIGHUP: oslo.service reads mutable options again, and replaces each worker when it has done its work."""

    def _give_up(self) -> None:
        self._failed.set()
        if os.getppid() == self._launcher:
            os.kill(self._launcher, signal.SIGTERM)


def command(prog: str, serve: Callable[[cfg.ConfigOpts], int]) -> int:
    """The whole of a command: configuration, logging, ``serve``; the exit status."""
    try:
        conf = configuration.load(sys.argv[1:], prog=prog)
        configuration.setup_logging(conf)
        return serve(conf)
    except EXPECTED as exc:
        print(f"{prog}: {exc}", file=sys.stderr)
        return 1


def run(conf: cfg.ConfigOpts, build: Callable[[], Running], workers: int = 1) -> int:
    """Run until SIGTERM or SIGINT; each worker builds its own service. The exit status: 1 if it could not start."""
    worker = Worker(build)
    try:
        service.launch(conf, worker, workers=workers, restart_method="mutate").wait()
    except SystemExit as exc:
        if exc.code:
            raise
    return int(worker.failed)
