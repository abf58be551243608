# SPDX-License-Identifier: Apache-2.0
"""What the conductor tells an agent, and a fake in the place of all agents."""

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from oslo_config import cfg

from cyborg import context
from cyborg.domain import errors, view, wire
from cyborg.domain.host_work import Unit
from cyborg.rpc import messaging


class Agents(Protocol):
    """The agents of all hosts."""

    def publish(self, wanted: view.HostView) -> None:
        """Hand over a newer view; nothing is lost when it does not arrive, the next report brings it."""

    def prepare(self, host: str, operation: str, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        """Make ``unit`` ready on its host; returns what the hypervisor is to attach.

        This and the two below may be asked any number of times with the same ``operation`` (any unique text): the work
        is done once, and each answer is the same. Unavailable means that the host does not answer, or that the work
        goes on: ask again, with the same operation. InUse may pass, too. NotFound, Conflict and DriverError need a
        person, or another accelerator. What is not to be disturbed meanwhile stands in ``unit.held``.
        """

    def clean(self, host: str, operation: str, unit: Unit, *, ends: str | None = None) -> bool:
        """Make ``unit`` safe for its next guest, before `release`; False when its driver has no way to.

        After any error it is not safe. ``ends`` is an operation before this one: whatever is asked for it from now on,
        at this unit, is refused with Conflict.
        """

    def release(self, host: str, operation: str, unit: Unit, *, ends: str | None = None) -> None:
        """Take back what was made for ``unit``; ``ends`` as in `clean`."""


class AgentClient:
    """The agent of a host is the RPC server of the host's name."""

    def __init__(self, conf: cfg.ConfigOpts, transport: messaging.Transport) -> None:
        self._client = messaging.Client(conf, transport, messaging.AGENT_TOPIC)

    def publish(self, wanted: view.HostView) -> None:
        self._client.cast(context.service_context(), wanted.host, "publish", view=wire.to_wire(wanted))

    def prepare(self, host: str, operation: str, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        answer: Mapping[str, str | None] = self._ask(host, "prepare", operation, unit, wish=dict(wish))
        return answer

    def clean(self, host: str, operation: str, unit: Unit, *, ends: str | None = None) -> bool:
        return bool(self._ask(host, "clean", operation, unit, **_ends(ends)))

    def release(self, host: str, operation: str, unit: Unit, *, ends: str | None = None) -> None:
        self._ask(host, "release", operation, unit, **_ends(ends))

    def _ask(self, host: str, step: str, operation: str, unit: Unit, **more: object) -> Any:
        return self._client.call_server(
            host, context.service_context(), step, operation=operation, unit=wire.to_wire(unit), **more
        )


def _ends(operation: str | None) -> dict[str, str]:
    return {} if operation is None else {"ends": operation}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a `FakeAgents` was asked, and did."""

    step: str
    host: str
    operation: str
    unit: Unit
    ends: str | None = None


class FakeAgents:
    """Does at once what it is asked, unless there is ``trouble``: errors by step, each raised once, in order.

    While ``gate`` is closed no host answers, or none of those that are ``deaf``, if there are any. ``made`` is what a
    preparation returns.
    """

    def __init__(self) -> None:
        self.views: queue.Queue[view.HostView] = queue.Queue()
        self.asked: list[Asked] = []
        self.trouble: dict[str, list[errors.CyborgError]] = {}
        self.made: Mapping[str, str | None] = {"domain": "0000", "bus": "3b", "device": "01", "function": "7"}
        self.cleans = True
        self.gate = threading.Event()
        self.gate.set()
        self.deaf: set[str] = set()
        self.begun = threading.Semaphore(0)

    def publish(self, wanted: view.HostView) -> None:
        self.views.put(wanted)

    def prepare(self, host: str, operation: str, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        self._do(Asked(step="prepare", host=host, operation=operation, unit=unit))
        return self.made

    def clean(self, host: str, operation: str, unit: Unit, *, ends: str | None = None) -> bool:
        self._do(Asked(step="clean", host=host, operation=operation, unit=unit, ends=ends))
        return self.cleans

    def release(self, host: str, operation: str, unit: Unit, *, ends: str | None = None) -> None:
        self._do(Asked(step="release", host=host, operation=operation, unit=unit, ends=ends))

    def steps(self) -> list[str]:
        return [one.step for one in self.asked]

    def _do(self, asked: Asked) -> None:
        self.begun.release()
        if not self.deaf or asked.host in self.deaf:
            self.gate.wait()
        if self.trouble.get(asked.step):
            raise self.trouble[asked.step].pop(0)
        self.asked.append(asked)
