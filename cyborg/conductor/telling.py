# SPDX-License-Identifier: Apache-2.0
"""Telling Nova how binds ended: an operation for each server, tried until Nova has taken it or its time is up."""

import datetime
from collections.abc import Iterable

from oslo_config import cfg

from cyborg.clients import nova
from cyborg.conductor.operations import Operation, Operations, Task
from cyborg.domain import arq, errors, wire
from cyborg.store import operations
from cyborg.store.engine import Store

KIND = "nova_events"


class Telling:
    def __init__(self, conf: cfg.ConfigOpts, store: Store, work: Operations, events: nova.Events) -> None:
        self._patience = datetime.timedelta(seconds=conf.conductor.event_deadline)
        self._store = store
        self._operations = work
        self._events = events
        work.handle(KIND, self._send)

    def of(self, outcomes: Iterable[tuple[str, str]], *, completed: bool) -> list[Operation]:
        """Work, to be added, for pairs of a request and its server."""
        by_server: dict[str, list[nova.Event]] = {}
        for request, server in outcomes:
            event = nova.Event(arq_uuid=request, instance_uuid=server, completed=completed)
            by_server.setdefault(server, []).append(event)
        deadline = operations.now() + self._patience
        return [
            self._operations.own(
                operations.new(
                    kind=KIND, payload={"events": wire.to_wire(tuple(group))}, subject=server, deadline=deadline
                )
            )
            for server, group in by_server.items()
        ]

    def _send(self, task: Task) -> None:
        try:
            self._events.send([wire.from_wire(nova.Event, event) for event in task.operation.payload["events"]])
        except errors.Unavailable as exc:
            if not task.is_late:
                raise
            with self._store.transaction() as tx:
                task.give_up(tx, exc.message)
            return
        with self._store.transaction() as tx:
            task.finish(tx)


def outcomes(requests: Iterable[arq.Arq]) -> list[tuple[str, str]]:
    """Requests and their servers, of those that have one."""
    return [(one.uuid, one.instance_uuid) for one in requests if one.instance_uuid is not None]
