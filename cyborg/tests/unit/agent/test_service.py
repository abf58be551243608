# SPDX-License-Identifier: Apache-2.0
"""The agent as a process runs it: over messaging, with its own threads."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from cyborg import context
from cyborg.agent.service import Agent
from cyborg.domain import report, view, wire
from cyborg.domain.shape import Shape
from cyborg.drivers.host import Host
from cyborg.rpc import messaging
from cyborg.rpc.agent import AgentClient
from cyborg.tests.placement_fixture import PlacementFixture
from cyborg.tests.unit.agent.conftest import HOST, MemoryConductor

PATIENCE = 10


class ConductorEndpoint:
    """The conductor in memory, behind real messaging."""

    def __init__(self, books: MemoryConductor) -> None:
        self._books = books

    @messaging.exposed
    def sync(self, ctxt: context.RequestContext, **arguments: Any) -> Any:
        wish = wire.from_wire(Shape, arguments.pop("wish"))
        return wire.to_wire(self._books.sync(**arguments, wish=wish))

    @messaging.exposed
    def report(self, ctxt: context.RequestContext, seen: Any) -> Any:
        return wire.to_wire(self._books.report(wire.from_wire(report.DeviceReport, seen)))


@pytest.fixture
def transport(conf: cfg.ConfigOpts) -> Iterator[messaging.Transport]:
    conf.set_override("transport_url", "fake://")
    transport = messaging.get_transport(conf)
    yield transport
    transport.cleanup()


@pytest.fixture
def books(transport: messaging.Transport) -> Iterator[MemoryConductor]:
    books = MemoryConductor()
    server = messaging.get_server(transport, messaging.CONDUCTOR_TOPIC, "conductor", [ConductorEndpoint(books)])
    server.start()
    yield books
    server.stop()
    server.wait()


@pytest.fixture
def agent(
    conf: cfg.ConfigOpts, transport: messaging.Transport, books: MemoryConductor, tmp_path: Path
) -> Iterator[Agent]:
    agent = Agent(conf, transport, host_name=HOST, host=Host(sysfs=tmp_path), driver_names=["fake_driver"])
    yield agent
    agent.stop()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)


def test_the_first_round_is_run_at_once(agent: Agent, placement: PlacementFixture, books: MemoryConductor) -> None:
    provider = placement.create_provider(HOST)
    agent.start()
    eventually(lambda: bool(placement.traits(provider)))
    assert placement.traits(provider) == {
        trait for device in books.books.devices for part in device.deployables for trait in part.traits
    }


def test_a_cast_is_published_long_before_the_next_period(
    agent: Agent,
    conf: cfg.ConfigOpts,
    transport: messaging.Transport,
    placement: PlacementFixture,
    books: MemoryConductor,
) -> None:
    provider = placement.create_provider(HOST)
    agent.start()
    eventually(lambda: bool(placement.traits(provider)))
    for device in books.books.devices:
        books.hold(device.address, "an-arq")
    AgentClient(conf, transport).publish(view.view(books.books))
    eventually(lambda: not placement.traits(provider))


def test_rounds_come_periodically(conf: cfg.ConfigOpts, agent: Agent, books: MemoryConductor) -> None:
    agent._interval = 0.01
    agent.start()
    eventually(lambda: books.calls.count("sync") >= 3)


def test_a_bug_in_a_round_costs_that_round_only(
    agent: Agent, books: MemoryConductor, caplog: pytest.LogCaptureFixture
) -> None:
    agent._interval = 0.01
    agent.placement.get = lambda _path: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    agent.start()
    eventually(lambda: sum("A round of the agent failed" in record.message for record in caplog.records) >= 2)
    del agent.placement.get
    eventually(lambda: "sync" in books.calls)


def test_an_agent_that_never_started_stops_at_once(conf: cfg.ConfigOpts, transport: messaging.Transport) -> None:
    Agent(conf, transport, host_name=HOST, driver_names=[]).stop()


def test_stop_is_prompt(agent: Agent, books: MemoryConductor) -> None:
    agent.start()
    eventually(lambda: "sync" in books.calls)
    started = time.monotonic()
    agent.stop()
    assert time.monotonic() - started < 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(HOST)]


def test_an_agent_that_is_to_measure_does_it_in_a_thread_of_its_own(
    conf: cfg.ConfigOpts, transport: messaging.Transport, tmp_path: Path, books: MemoryConductor
) -> None:
    conf.set_override("measure_interval", 60, "agent")
    conf.set_override("driver", ["test"], "oslo_messaging_notifications")
    agent = Agent(conf, transport, host_name=HOST, host=Host(sysfs=tmp_path), driver_names=["fake_driver"])
    agent.start()
    named = {thread.name for thread in threading.enumerate()}
    agent.stop()
    assert f"{HOST}-measure_periodically" in named
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(HOST)]


@pytest.mark.parametrize(
    ("given", "configured", "name"),
    [("given", "configured", "given"), (None, "configured", "configured"), (None, None, "the-host")],
)
def test_the_host_is_named_by_the_caller_then_by_its_provider_then_by_itself(
    conf: cfg.ConfigOpts, transport: messaging.Transport, given: str | None, configured: str | None, name: str
) -> None:
    conf.set_override("host", "the-host")
    conf.set_override("resource_provider_name", configured, group="agent")
    assert Agent(conf, transport, host_name=given, driver_names=[]).host_name == name
