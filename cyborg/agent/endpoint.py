# SPDX-License-Identifier: Apache-2.0
"""What the conductor may tell an agent."""

from collections.abc import Callable, Mapping
from typing import Any

from cyborg import context
from cyborg.agent.host_work import HostWork
from cyborg.domain import view as views
from cyborg.domain import wire
from cyborg.domain.host_work import Unit
from cyborg.rpc import messaging


class AgentEndpoint:
    """Hands over and returns at once: the work is done by the agent's own threads."""

    def __init__(self, take: Callable[[views.HostView], None]) -> None:
        self._take = take

    @messaging.exposed
    def publish(self, ctxt: context.RequestContext, view: dict[str, Any]) -> None:
        self._take(wire.from_wire(views.HostView, view))


class HostWorkEndpoint:
    """Work on the host; each call returns when it is done, or when the caller has waited long enough."""

    def __init__(self, work: HostWork) -> None:
        self._work = work

    @messaging.exposed
    def prepare(
        self, ctxt: context.RequestContext, operation: str, unit: dict[str, Any], wish: Mapping[str, str]
    ) -> Mapping[str, str | None]:
        return self._work.prepare(operation, wire.from_wire(Unit, unit), wish)

    @messaging.exposed
    def clean(
        self, ctxt: context.RequestContext, operation: str, unit: dict[str, Any], ends: str | None = None
    ) -> bool:
        return self._work.clean(operation, wire.from_wire(Unit, unit), ends=ends)

    @messaging.exposed
    def release(
        self, ctxt: context.RequestContext, operation: str, unit: dict[str, Any], ends: str | None = None
    ) -> None:
        self._work.release(operation, wire.from_wire(Unit, unit), ends=ends)
