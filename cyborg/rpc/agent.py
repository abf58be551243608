# SPDX-License-Identifier: Apache-2.0
"""What the conductor tells an agent."""

from oslo_config import cfg

from cyborg import context
from cyborg.domain import view, wire
from cyborg.rpc import messaging


class AgentClient:
    """The agent of a host is the RPC server of the host's name."""

    def __init__(self, conf: cfg.ConfigOpts, transport: messaging.Transport) -> None:
        self._client = messaging.Client(conf, transport, messaging.AGENT_TOPIC)

    def publish(self, wanted: view.HostView) -> None:
        """Hand over a newer view; nothing is lost when it does not arrive, the next report brings it."""
        self._client.cast(context.service_context(), wanted.host, "publish", view=wire.to_wire(wanted))
