# SPDX-License-Identifier: Apache-2.0
"""The conductor as a service: its endpoints behind one RPC server, its workers beside it."""

from oslo_config import cfg
from oslo_log import log

from cyborg.clients import nova
from cyborg.conductor import (
    announcer,
    binding,
    expiry,
    host_work,
    inventory,
    notices,
    operations,
    preparing,
    releasing,
    taking_back,
    telling,
)
from cyborg.conductor.audit_rounds import AuditRounds
from cyborg.conductor.recurring import Recurring
from cyborg.conductor.watch import Watch
from cyborg.conf import credentials
from cyborg.conf import placement as options
from cyborg.placement.client import PlacementClient
from cyborg.placement.mover import Mover
from cyborg.rpc import agent, messaging, notifications
from cyborg.store.engine import Store

LOG = log.getLogger(__name__)


class Conductor:
    """``start`` returns when requests are served; ``stop`` when those in hand are answered."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        store: Store,
        transport: messaging.Transport,
        events: nova.Events | None = None,
        agents: agent.Agents | None = None,
    ) -> None:
        agents = agents or agent.AgentClient(conf, transport)
        announcing = announcer.Announcer(agents)
        told = notices.Notices(store, notifications.Notifier(conf, "conductor"))
        self.operations = operations.Operations(conf, store)
        self.operations.handle(notices.NOTIFY, told.send)
        means = host_work.Means.of(conf, store, agents, announcing, self.operations)
        tell = telling.Telling(conf, store, self.operations, events or nova.from_conf(conf))
        self._preparing = preparing.Preparing(conf, means, tell, told)
        taking_back.TakingBack(conf, means)
        #: What is served; a simulation calls them without messages, and starts ``operations`` alone or not at all.
        self.endpoints: list[object] = [
            inventory.InventoryEndpoint(conf, means, told),
            binding.BindingEndpoint(conf, means, self._preparing, tell),
            releasing.ReleasingEndpoint(means),
        ]
        self._recurring = recurring_work(conf, store, announcing, told)
        # All of a host share its name: a name of their own would leave a queue behind with every restart.
        self._server = messaging.get_server(transport, messaging.CONDUCTOR_TOPIC, conf.host, self.endpoints)

    def start(self) -> None:
        self.operations.start()
        self._server.start()
        for one in self._recurring:
            one.start()
        LOG.info("Conductor started")

    def stop_waiting(self) -> None:
        """Answer the callers that wait for hosts: what they wait for goes on, here or at another conductor."""
        self._preparing.waiting.close()

    def stop(self) -> None:
        for one in self._recurring:
            one.stop()
        self.stop_waiting()
        self._server.stop()
        self._server.wait()
        self.operations.stop()
        for one in self._recurring:
            one.wait()
        LOG.info("Conductor stopped")


def recurring_work(
    conf: cfg.ConfigOpts, store: Store, announcing: announcer.Announcer, told: notices.Notices
) -> list[Recurring]:
    """What is done again and again, by one conductor of all; clients of Placement are made when they are needed."""
    has_placement = credentials.are_given(conf, options.GROUP)
    mover = (lambda: Mover(PlacementClient.from_conf(conf))) if has_placement else None
    watch = Watch(conf, store, announcing, mover, told)
    found = [
        Recurring("host_watch", watch.interval, store, watch.run),
        Recurring("operation_retention", expiry.INTERVAL, store, expiry.Retention(conf, store).run),
    ]
    if conf.conductor.arq_expiry:
        interval = min(expiry.INTERVAL, conf.conductor.arq_expiry)
        found.append(Recurring("arq_expiry", interval, store, expiry.Expiry(conf, store).run))
    if not has_placement:
        LOG.info(
            "No credentials in [placement]: no audits, and Placement still offers what is free on hosts that are down"
        )
    elif conf.conductor.audit_interval:
        rounds = AuditRounds(conf, store)
        found.append(Recurring("audit", conf.conductor.audit_interval, store, rounds.run))
    return found
