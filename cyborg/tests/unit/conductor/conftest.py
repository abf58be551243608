# SPDX-License-Identifier: Apache-2.0
"""A running conductor on SQLite, with a fake Nova and an agent that keeps the views it is sent."""

import logging
import queue
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cyborg import conf as configuration
from cyborg import context
from cyborg.clients import nova
from cyborg.conductor.service import Conductor
from cyborg.domain import arq, profile, report, view, wire
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.store import arqs, models, operations, schema
from cyborg.store.engine import Store
from cyborg.tests.unit.conductor.house import House, Make

PROVIDER = "b1a2e1c8-4c5b-4d3f-9a3e-2f0f4d0f3a11"
NOVA = context.RequestContext(user_id="nova", project_id="service", roles=["service"], from_service=True)


class KeptViews:
    """An agent's endpoint, in the place of an agent."""

    def __init__(self) -> None:
        self.views: queue.Queue[view.HostView] = queue.Queue()

    @messaging.exposed
    def publish(self, ctxt: context.RequestContext, view: dict[str, Any]) -> None:
        self.views.put(_view(view))


def _view(data: dict[str, Any]) -> view.HostView:
    return wire.from_wire(view.HostView, data)


class Cloud:
    """What a test asks for, in its own words."""

    def __init__(self, store: Store, client: ConductorClient, events: nova.FakeNova, agent: KeptViews) -> None:
        self.store = store
        self.client = client
        self.events = events
        self.agent = agent

    def host(self, name: str, *devices: report.Device, provider: str = PROVIDER) -> view.HostView:
        self.client.sync(name, provider, {}, -1)
        return self.client.report(report.DeviceReport(host=name, driver="fake_driver", devices=devices))

    def request(
        self, *required: str, project: str = "p1", count: int = 1, group: profile.Group | None = None
    ) -> list[str]:
        group = group or profile.Group(
            resources={"CUSTOM_ACCELERATOR": 1}, traits=dict.fromkeys(required, profile.TraitRule.REQUIRED)
        )
        made = [
            arq.Arq(
                uuid=str(uuid.uuid4()),
                project_id=project,
                state=arq.State.INITIAL,
                profile_name="p",
                group_id=0,
                group=group,
            )
            for _ in range(count)
        ]
        with self.store.transaction() as tx:
            arqs.create(tx, made)
        return [one.uuid for one in made]

    def bind(
        self,
        uuids: Sequence[str],
        *,
        host: str = "host-1",
        provider: str = PROVIDER,
        instance: str = "",
        project: str | None = None,
    ) -> str:
        instance = instance or str(uuid.uuid4())
        self.client.bind(
            NOVA,
            [
                arq.Binding(
                    arq_uuid=one, hostname=host, device_rp_uuid=provider, instance_uuid=instance, project_id=project
                )
                for one in uuids
            ],
        )
        return instance

    def settle(self) -> None:
        """Returns when no work is left over, after five seconds at most."""
        for _ in range(500):
            with self.store.reading() as tx:
                waiting = select(models.Operation.id).where(~models.Operation.kind.startswith(operations.TURN))
                if tx.execute(waiting.limit(1)).first() is None:
                    return
            time.sleep(0.01)

    def get(self, uuid: str) -> arq.Arq | None:
        with self.store.reading() as tx:
            return arqs.get(tx, [uuid]).get(uuid)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command sets logging up for a whole process, which here has other tests to run."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One conductor for all tests of a module: stopping one takes a second."""
    conf = configuration.new_config()
    conf([], default_config_files=[])
    conf.set_override("transport_url", "fake://")
    conf.set_override("control_exchange", f"test-{uuid.uuid4()}")
    conf.set_override("operation_interval", 1, "conductor")
    conf.set_override("bind_timeout", 10)
    # Tests make things old, and ask for this themselves.
    conf.set_override("arq_expiry", 0, "conductor")
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('conductor')}/cyborg.db")
    schema.upgrade(store)
    transport = messaging.get_transport(conf)
    events, agent = nova.FakeNova(), KeptViews()
    conductor = Conductor(conf, store, transport, events)
    listener = messaging.get_server(transport, messaging.AGENT_TOPIC, "host-1", [agent])
    conductor.start()
    listener.start()
    yield Cloud(store, ConductorClient(conf, transport), events, agent)
    conductor.stop()
    listener.stop()
    listener.wait()
    store.dispose()


@pytest.fixture
def cloud(running: Cloud) -> Cloud:
    """The same, with nothing in it and nothing still on its way to Nova."""
    running.events.reset()
    running.settle()
    with running.store.transaction() as tx:
        for table in reversed(models.Base.metadata.sorted_tables):
            tx.execute(table.delete())
    running.events.reset()
    running.agent.views = queue.Queue()
    return running


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Houses, which end with the test."""
    with ExitStack() as houses:
        yield lambda **options: houses.enter_context(House(tmp_path, **options))
