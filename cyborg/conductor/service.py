# SPDX-License-Identifier: Apache-2.0
"""The conductor as a service: its endpoints behind one RPC server, its worker beside it."""

from oslo_config import cfg
from oslo_log import log

from cyborg.clients import nova
from cyborg.conductor import announcer, binding, inventory, operations
from cyborg.rpc import agent, messaging
from cyborg.store.engine import Store

LOG = log.getLogger(__name__)


class Conductor:
    """``start`` returns when requests are served; ``stop`` when those in hand are answered."""

    def __init__(
        self, conf: cfg.ConfigOpts, store: Store, transport: messaging.Transport, events: nova.Events | None = None
    ) -> None:
        announcing = announcer.Announcer(agent.AgentClient(conf, transport))
        self._operations = operations.Operations(conf, store, events or nova.from_conf(conf))
        #: What is served; a simulation calls them without messages.
        self.endpoints: list[object] = [
            inventory.InventoryEndpoint(conf, store, announcing),
            binding.BindingEndpoint(conf, store, announcing, self._operations),
        ]
        # All of a host share its name: a name of their own would leave a queue behind with every restart.
        self._server = messaging.get_server(transport, messaging.CONDUCTOR_TOPIC, conf.host, self.endpoints)

    def start(self) -> None:
        self._operations.start()
        self._server.start()
        LOG.info("Conductor started")

    def stop(self) -> None:
        self._server.stop()
        self._server.wait()
        self._operations.stop()
        LOG.info("Conductor stopped")
