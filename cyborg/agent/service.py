# SPDX-License-Identifier: Apache-2.0
"""The agent of one host, as threads: one reports every period, one publishes whenever a newer view comes.

agent = Agent(conf, transport)
agent.start()       # reports at once
agent.stop()
"""

import random
import threading
from collections.abc import Callable, Sequence

from oslo_config import cfg
from oslo_log import log

from cyborg.agent.endpoint import AgentEndpoint
from cyborg.agent.reporter import Reporter
from cyborg.conf import agent as options
from cyborg.domain import view
from cyborg.drivers import loader
from cyborg.drivers.host import Host
from cyborg.placement.client import PlacementClient
from cyborg.placement.publisher import Publisher
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient

LOG = log.getLogger(__name__)
STOP_TIMEOUT = 5


class Agent:
    """Several may live in one process, each with the name and the roots of its host."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        transport: messaging.Transport,
        host_name: str | None = None,
        host: Host | None = None,
        driver_names: Sequence[str] | None = None,
    ) -> None:
        group = conf[options.GROUP]
        self.host_name: str = host_name or group.resource_provider_name or conf.host
        self.placement = PlacementClient.from_conf(conf)
        self.reporter = Reporter(
            conf,
            self.host_name,
            loader.load(conf, group.enabled_drivers if driver_names is None else driver_names),
            host or Host(sysfs=group.sysfs_root, devfs=group.devfs_root, procfs=group.procfs_root),
            conductor=ConductorClient(conf, transport),
            publisher=Publisher(self.placement, conf),
        )
        self._interval: float = conf.periodic_interval
        self._jitter: float = group.report_jitter
        self._started = False
        self._stopping = threading.Event()
        self._newer_view = threading.Event()
        self._first_round = threading.Event()
        self._server = messaging.get_server(
            transport, messaging.AGENT_TOPIC, self.host_name, [AgentEndpoint(self._take)]
        )
        self._threads = [
            threading.Thread(target=work, name=f"{self.host_name}-{work.__name__.strip('_')}", daemon=True)
            for work in (self._report_periodically, self._publish_on_demand)
        ]

    def start(self) -> None:
        """Serve, report at once and then every period; returns at once. Once per agent."""
        self._started = True
        self._server.start()
        for thread in self._threads:
            thread.start()
        LOG.info("Agent of host %s started.", self.host_name)

    def stop(self) -> None:
        """Returns when the round under way is done, or after some seconds; the next start does what is left undone.

        May be called twice, and before `start`.
        """
        if not self._started:
            return
        self._stopping.set()
        self._newer_view.set()
        self._server.stop()
        self._server.wait()
        for thread in self._threads:
            thread.join(STOP_TIMEOUT)
        LOG.info("Agent of host %s stopped.", self.host_name)

    def wait_first_round(self, timeout: float) -> bool:
        """Whether the first round was over, well or badly, within ``timeout`` seconds."""
        return self._first_round.wait(timeout)

    def _take(self, wanted: view.HostView) -> None:
        if self.reporter.publication.offer(wanted):
            self._newer_view.set()

    def _report_periodically(self) -> None:
        while not self._stopping.is_set():
            _guarded(self.reporter.run_once)
            self._first_round.set()
            self._stopping.wait(self._interval * random.uniform(1 - self._jitter, 1 + self._jitter))  # noqa: S311

    def _publish_on_demand(self) -> None:
        while True:
            self._newer_view.wait()
            self._newer_view.clear()
            if self._stopping.is_set():
                return
            _guarded(self.reporter.publication.publish)


def _guarded(work: Callable[[], None]) -> None:
    """A periodic loop's edge: a bug costs one round, not the agent."""
    try:
        work()
    except Exception:  # whatever one round hits, the next one starts afresh
        LOG.exception("A round of the agent failed; the next one starts as planned.")
