# SPDX-License-Identifier: Apache-2.0
"""What the conductor tells an agent."""

from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from cyborg import context
from cyborg.domain import view, wire
from cyborg.domain.host_work import Unit
from cyborg.rpc import messaging


class AgentClient:
    """The agent of a host is the RPC server of the host's name."""

    def __init__(self, conf: cfg.ConfigOpts, transport: messaging.Transport) -> None:
        self._client = messaging.Client(conf, transport, messaging.AGENT_TOPIC)

    def publish(self, wanted: view.HostView) -> None:
        """Hand over a newer view; nothing is lost when it does not arrive, the next report brings it."""
        self._client.cast(context.service_context(), wanted.host, "publish", view=wire.to_wire(wanted))

    def prepare(self, host: str, operation: str, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        """Make ``unit`` ready on its host; returns what the hypervisor is to attach.

        This and the two below may be asked any number of times with the same ``operation`` (any unique text): the work
        is done once, and each answer is the same. Unavailable means that the host does not answer, or that the work
        goes on: ask again, with the same operation. InUse may pass, too. NotFound, Conflict and DriverError need a
        person, or another accelerator. What is not to be disturbed meanwhile stands in ``unit.held``.
        """
        answer: Mapping[str, str | None] = self._ask(host, "prepare", operation, unit, wish=dict(wish))
        return answer

    def clean(self, host: str, operation: str, unit: Unit) -> bool:
        """Make ``unit`` safe for its next guest, before `release`; False when its driver has no way to.

        After any error it is not safe.
        """
        return bool(self._ask(host, "clean", operation, unit))

    def release(self, host: str, operation: str, unit: Unit) -> None:
        """Take back what was made for ``unit``."""
        self._ask(host, "release", operation, unit)

    def _ask(self, host: str, step: str, operation: str, unit: Unit, **more: object) -> Any:
        return self._client.call_server(
            host, context.service_context(), step, operation=operation, unit=wire.to_wire(unit), **more
        )
