# SPDX-License-Identifier: Apache-2.0
"""What the conductor may tell an agent."""

from collections.abc import Callable
from typing import Any

from cyborg import context
from cyborg.domain import view as views
from cyborg.domain import wire
from cyborg.rpc import messaging


class AgentEndpoint:
    """Hands over and returns at once: the work is done by the agent's own threads."""

    def __init__(self, take: Callable[[views.HostView], None]) -> None:
        self._take = take

    @messaging.exposed
    def publish(self, ctxt: context.RequestContext, view: dict[str, Any]) -> None:
        self._take(wire.from_wire(views.HostView, view))
