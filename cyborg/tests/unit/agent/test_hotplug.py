# SPDX-License-Identifier: Apache-2.0
"""A card that comes is reported within a second, however long the period is; without events the period is left."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from oslo_config import cfg

from cyborg.agent import hotplug
from cyborg.agent.service import Agent
from cyborg.drivers.twin import Twin
from cyborg.rpc import messaging
from cyborg.tests.unit.agent.conftest import HOST, MemoryConductor
from cyborg.tests.unit.agent.test_service import books, eventually, transport

__all__ = ["books", "transport"]
FLEX = {"vendor": 0x8086, "device": 0x56C0, "class": 0x038000, "driver": "xe", "sriov_totalvfs": 8}
CARD = "0000:3b:00.0"


class Plug:
    """Events when the test says so."""

    def __init__(self) -> None:
        self.tell: Callable[[], None] | None = None
        self.stopped = 0

    def start(self, tell: Callable[[], None]) -> None:
        self.tell = tell

    def stop(self) -> None:
        self.stopped += 1

    def event(self) -> None:
        assert self.tell is not None
        self.tell()


class Broken(Plug):
    def start(self, tell: Callable[[], None]) -> None:
        raise OSError("no netlink here")


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    return Twin({"pci": {CARD: FLEX}}, tmp_path / "host")


Start = Callable[[Plug], Agent]


@pytest.fixture
def start(
    conf: cfg.ConfigOpts, transport: messaging.Transport, books: MemoryConductor, twin: Twin, tmp_path: Path
) -> Iterator[Start]:
    conf.set_override("periodic_interval", 3600)
    conf.set_override("state_path", str(tmp_path))
    started: list[Agent] = []

    def begin(events: Plug) -> Agent:
        agent = Agent(conf, transport, HOST, twin.host, ["intel_gpu_driver"], events=events)
        started.append(agent)
        agent.start()
        assert agent.wait_first_round(10)
        return agent

    yield begin
    for agent in started:
        agent.stop()


def addresses(books: MemoryConductor) -> list[str]:
    return [device.address for device in books.books.devices if not device.absences]


def test_a_card_that_is_unplugged_is_missed_within_a_second(start: Start, books: MemoryConductor, twin: Twin) -> None:
    plug = Plug()
    start(plug)
    assert addresses(books) == [CARD]
    (twin.sysfs / "bus/pci/devices" / CARD).unlink()
    begun = time.monotonic()
    plug.event()
    eventually(lambda: addresses(books) == [])
    assert time.monotonic() - begun < 1.5


def test_a_swarm_of_events_is_one_look(start: Start, books: MemoryConductor) -> None:
    plug = Plug()
    start(plug)
    before = books.calls.count("sync")
    for _ in range(64):
        plug.event()
    eventually(lambda: books.calls.count("sync") > before)
    time.sleep(0.7)
    assert books.calls.count("sync") == before + 1


def test_the_source_is_stopped_with_the_agent(start: Start) -> None:
    plug = Plug()
    start(plug).stop()
    assert plug.stopped == 1


def test_an_agent_works_where_events_cannot_be_had(start: Start, books: MemoryConductor) -> None:
    start(Broken())
    assert addresses(books) == [CARD]


def test_without_pyudev_there_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyudev", None)
    assert hotplug.installed() is None


def test_a_host_that_is_not_this_machine_has_no_events_of_it(
    conf: cfg.ConfigOpts, transport: messaging.Transport, twin: Twin
) -> None:
    assert Agent(conf, transport, HOST, twin.host, [])._events is None


class FakePyudev:
    """What is used of pyudev."""

    def __init__(self) -> None:
        self.subsystems: list[str] = []
        self.observer: SimpleNamespace | None = None
        self.Context = object
        self.Monitor = SimpleNamespace(from_netlink=lambda _: SimpleNamespace(filter_by=self.subsystems.append))

    def MonitorObserver(self, monitor: object, *, callback: Callable[[object], None], **_: object) -> object:  # noqa: N802
        self.observer = SimpleNamespace(start=lambda: callback("an event"), stop=lambda: None)
        return self.observer


def test_udev_is_asked_for_what_accelerators_are() -> None:
    library, told = FakePyudev(), threading.Event()
    source = hotplug.Udev(library)
    source.stop()
    source.start(told.set)
    assert told.is_set()
    assert "pci" in library.subsystems
    assert not {"net", "block"} & set(library.subsystems)
    source.stop()
    source.stop()


def test_the_real_pyudev_starts_and_stops() -> None:
    pytest.importorskip("pyudev")
    source = hotplug.installed()
    assert source is not None
    source.start(lambda: None)
    source.stop()
