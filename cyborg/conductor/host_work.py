# SPDX-License-Identifier: Apache-2.0
"""What operations that need a host have in common: see `preparing` and `taking_back`.

The host is asked outside of any transaction, by idempotent steps that carry the operation's uuid. What the books say
after that is decided under their locks, in `cyborg.domain.flow`, and only if the operation is still this conductor's
and the units are still the operation's. So it may die, be done twice or be called off at any point.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from oslo_config import cfg

from cyborg.conductor.announcer import Announcer
from cyborg.conductor.operations import Operation, Operations, Task
from cyborg.domain import errors, flow, health, inventory, liveness, view, wire
from cyborg.rpc.agent import Agents
from cyborg.store import hosts, operations
from cyborg.store.engine import Store, Transaction

Found = tuple[inventory.Device, inventory.Deployable, inventory.Accelerator]


def row(work: flow.Work, deadline: datetime.datetime | None = None) -> Operation:
    """The operation that this work is, to be added; anybody's."""
    return operations.new(
        uuid=work.uuid,
        kind=work.kind,
        payload=wire.to_wire(work),
        hostname=work.hostname,
        subject=work.subject,
        deadline=deadline,
    )


def work_of(task: Task) -> flow.Work:
    return wire.from_wire(flow.Work, task.operation.payload)


def save(tx: Transaction, before: inventory.Host, after: inventory.Host) -> inventory.Host:
    """As it is stored now, with a higher generation if Placement is to show something else."""
    return hosts.save(tx, before, view.advance(before, after))


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What it is done with. ``deadline`` is how long a preparation may take, ``patience`` how long a host is silent.

    By ``rules`` the health of devices is judged.
    """

    store: Store
    agents: Agents
    announcer: Announcer
    operations: Operations
    deadline: datetime.timedelta
    patience: datetime.timedelta
    rules: health.Rules

    @classmethod
    def of(cls, conf: cfg.ConfigOpts, store: Store, agents: Agents, announcing: Announcer, work: Operations) -> "Means":
        return cls(
            store=store,
            agents=agents,
            announcer=announcing,
            operations=work,
            deadline=datetime.timedelta(seconds=conf.conductor.prepare_deadline),
            patience=datetime.timedelta(seconds=conf.api.host_down_after),
            rules=health.Rules(
                clean_looks=conf.conductor.health_clean_looks,
                failures=conf.conductor.health_failures,
                window=conf.conductor.health_window,
            ),
        )

    def rows(self, work: Iterable[flow.Work]) -> list[Operation]:
        """This conductor's operations, to be added."""
        deadline = operations.now() + self.deadline
        return [self.operations.own(row(one, deadline if one.kind is flow.Kind.PREPARE else None)) for one in work]

    def look(self, work: flow.Work) -> tuple[inventory.Host | None, list[Found]]:
        """The host, and those of its units that are still this work's."""
        with self.store.reading() as tx:
            host = hosts.load(tx, work.hostname)
        return host, [] if host is None else list(flow.units_of(host, work.uuid))

    def check_up(self, host: inventory.Host) -> None:
        """Raises Unavailable for a host that is down: to ask it would only cost time."""
        if liveness.is_down(host, operations.now(), self.patience):
            raise errors.Unavailable(f"Host {host.name} is down; its agent was last heard of at {host.seen_at}.")

    def finish(self, task: Task) -> None:
        """There is nothing to do any more: somebody else has decided on all of its units."""
        with self.store.transaction() as tx:
            task.finish(tx)
