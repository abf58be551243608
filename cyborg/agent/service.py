# SPDX-License-Identifier: Apache-2.0
"""The agent of one host, as threads: one reports every period, one publishes whenever a newer view comes, one measures.

agent = Agent(conf, transport)
agent.start()       # reports at once
agent.stop()

A card that comes or goes, and host work, make the next report come within a second.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from cyborg.agent import hotplug
from cyborg.agent.counter_memory import CounterMemory
from cyborg.agent.endpoint import AgentEndpoint, HostWorkEndpoint
from cyborg.agent.host_work import HostWork
from cyborg.agent.journal import Journal
from cyborg.agent.measuring import Measuring
from cyborg.agent.reporter import Reporter
from cyborg.conf import agent as options
from cyborg.conf import privilege
from cyborg.domain import view
from cyborg.drivers import loader
from cyborg.drivers.host import Host
from cyborg.placement.client import PlacementClient
from cyborg.placement.publisher import Publisher
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.rpc.notifications import Notifier

LOG = log.getLogger(__name__)
STOP_TIMEOUT = 5
#: Seconds between an event and the look that it causes.
SETTLE = 0.5


class Agent:
    """Several may live in one process, each with the name and the roots of its host."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        transport: messaging.Transport,
        host_name: str | None = None,
        host: Host | None = None,
        driver_names: Sequence[str] | None = None,
        *,
        events: hotplug.Source | None = None,
    ) -> None:
        group = conf[options.GROUP]
        self.host_name: str = host_name or group.resource_provider_name or conf.host
        self.placement = PlacementClient.from_conf(conf)
        drivers = loader.load(conf, group.enabled_drivers if driver_names is None else driver_names)
        host = host or Host(
            sysfs=group.sysfs_root,
            devfs=group.devfs_root,
            procfs=group.procfs_root,
            helper_command=conf[privilege.GROUP].helper_command,
        )
        self.reporter = Reporter(
            conf,
            self.host_name,
            drivers,
            host,
            conductor=ConductorClient(conf, transport),
            publisher=Publisher(self.placement, conf),
        )
        self._interval: float = conf.periodic_interval
        self._jitter: float = group.report_jitter
        self._started = False
        self._stopping = threading.Event()
        self._newer_view = threading.Event()
        self._first_round = threading.Event()
        self._woken = threading.Event()
        self._events = events or (hotplug.installed() if group.hotplug and host.is_this_machine else None)
        host.counters.hold = group.error_hold_time
        boot = host.proc("sys/kernel/random/boot_id").text() or ""
        state = Path(conf.state_path)
        self._counters = CounterMemory(host.counters, state / "counters" / f"{self.host_name}.json", boot)
        journal = Journal(state / "host_work" / self.host_name, boot)
        work = HostWork(drivers, host, journal, group.host_work_timeout, done=self.wake)
        self._server = messaging.get_server(
            transport, messaging.AGENT_TOPIC, self.host_name, [AgentEndpoint(self._take), HostWorkEndpoint(work)]
        )
        self._measuring = Measuring(conf, self.host_name, drivers, host, Notifier(conf, "agent", self.host_name))
        loops = [self._report_periodically, self._publish_on_demand]
        loops += [self._measure_periodically] if self._measuring.interval else []
        self._threads = [
            threading.Thread(target=loop, name=f"{self.host_name}-{loop.__name__.strip('_')}", daemon=True)
            for loop in loops
        ]

    def start(self) -> None:
        """Serve, report at once and then every period; returns at once. Once per agent."""
        self._started = True
        self._server.start()
        for thread in self._threads:
            thread.start()
        self._listen()
        LOG.info("Agent of host %s started.", self.host_name)

    def stop(self) -> None:
        """Returns when the round under way is done, or after some seconds; the next start does what is left undone.

        May be called twice, and before `start`.
        """
        if not self._started:
            return
        self._stopping.set()
        self._newer_view.set()
        self._woken.set()
        if self._events is not None:
            self._events.stop()
        self._server.stop()
        patience_ends = time.monotonic() + STOP_TIMEOUT
        for thread in self._threads:
            thread.join(max(0.0, patience_ends - time.monotonic()))
        self._server.wait()
        LOG.info("Agent of host %s stopped.", self.host_name)

    def wait_first_round(self, timeout: float) -> bool:
        """Whether the first round was over, well or badly, within ``timeout`` seconds."""
        return self._first_round.wait(timeout)

    def wake(self) -> None:
        """Run the next round within a second: something changed on the host. Any number of times, from any thread."""
        self._woken.set()

    def _listen(self) -> None:
        """What cannot be had here is done without: the period finds the same cards, later."""
        if self._events is not None:
            try:
                self._events.start(self.wake)
            except Exception:  # a library's edge: whatever keeps it from listening, the agent works on
                LOG.exception("Events of cards that come and go cannot be had; they are found with the next report.")

    def _take(self, wanted: view.HostView) -> None:
        if self.reporter.publication.offer(wanted):
            self._newer_view.set()

    def _measure_periodically(self) -> None:
        self._measuring.run(self._stopping)

    def _report_periodically(self) -> None:
        self._counters.recall()
        while not self._stopping.is_set():
            self._woken.clear()
            _guarded(self.reporter.run_once)
            _guarded(self._counters.keep)
            self._first_round.set()
            if self._woken.wait(self._interval * random.uniform(1 - self._jitter, 1 + self._jitter)):  # noqa: S311
                # Events come in swarms: one look after the last of them is enough.
                self._stopping.wait(SETTLE)

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
