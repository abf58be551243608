# SPDX-License-Identifier: Apache-2.0
"""Host work: once for each operation, one at a card, remembered over crashes, and never waited for without end."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from cyborg.agent.endpoint import HostWorkEndpoint
from cyborg.agent.host_work import HostWork
from cyborg.agent.journal import KEPT, Journal
from cyborg.agent.service import Agent
from cyborg.domain import errors, report
from cyborg.domain.host_work import Unit
from cyborg.drivers.host import Host
from cyborg.drivers.loader import LoadedDriver
from cyborg.drivers.twin import Twin
from cyborg.rpc import messaging
from cyborg.rpc.agent import AgentClient
from cyborg.tests.unit.agent.conftest import HOST

CARD = "0000:3b:00.0"
PLAIN = {"domain": "0000", "bus": "3b", "device": "00", "function": "1"}


def unit(name: str = "vf0", address: str = CARD, driver: str = "lamps") -> Unit:
    return Unit(
        uuid=f"uuid of {name}", driver=driver, address=address, vendor="1", model="2", key=name, info={"a": None}
    )


class Lamps:
    """Writes down what it does; waits for ``gate`` and raises ``failure`` if there is one."""

    option_group: str | None = None
    options: Sequence[cfg.Opt] = ()

    def __init__(self) -> None:
        self.done: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.gate = threading.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.held: dict[str, frozenset[str]] = {}

    def discover(self, host: Host) -> Sequence[report.Device]:
        return ()

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        self._do(f"prepare {unit.key} {wish.get('colour', '')}".strip(), unit)
        return PLAIN

    def clean(self, host: Host, unit: Unit) -> None:
        self._do(f"clean {unit.key}", unit)

    def release(self, host: Host, unit: Unit) -> None:
        self._do(f"release {unit.key}", unit)

    def _do(self, what: str, unit: Unit) -> None:
        self.held[what] = unit.held
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.gate.wait(10)
        self.at_once -= 1
        if self.failure is not None:
            raise self.failure
        self.done.append(what)


class Looker:
    option_group: str | None = None
    options: Sequence[cfg.Opt] = ()

    def discover(self, host: Host) -> Sequence[report.Device]:
        return ()


Make = Callable[..., HostWork]


@pytest.fixture
def lamps() -> Iterator[Lamps]:
    driver = Lamps()
    yield driver
    driver.gate.set()


@pytest.fixture
def make(lamps: Lamps, tmp_path: Path) -> Make:
    """As often as an agent starts; all with the same disk."""

    def start(timeout: float = 5.0, boot: str = "this boot", directory: str = "journal") -> HostWork:
        drivers = [LoadedDriver(name="lamps", driver=lamps), LoadedDriver(name="lookers", driver=Looker())]
        return HostWork(drivers, Host(sysfs=tmp_path), Journal(tmp_path / directory, boot), timeout)

    return start


def test_a_step_of_an_operation_is_done_once(make: Make, lamps: Lamps) -> None:
    work = make()
    assert work.prepare("op", unit(), {"colour": "red"}) == PLAIN
    assert work.prepare("op", unit(), {"colour": "red"}) == PLAIN
    assert lamps.done == ["prepare vf0 red"]


def test_each_step_and_each_unit_of_an_operation_is_its_own(make: Make, lamps: Lamps) -> None:
    work = make()
    work.prepare("op", unit("vf0"), {})
    work.prepare("op", unit("vf1"), {})
    assert work.clean("op", unit("vf0"))
    work.release("op", unit("vf0"))
    assert lamps.done == ["prepare vf0", "prepare vf1", "clean vf0", "release vf0"]


def test_the_answer_outlives_the_agent(make: Make, lamps: Lamps) -> None:
    make().prepare("op", unit(), {})
    assert make().prepare("op", unit(), {}) == PLAIN
    assert lamps.done == ["prepare vf0"]


def test_after_a_restart_of_the_host_it_is_done_again(make: Make, lamps: Lamps) -> None:
    make().prepare("op", unit(), {})
    make(boot="the next boot").prepare("op", unit(), {})
    assert lamps.done == ["prepare vf0"] * 2


def test_a_failure_is_told_and_not_remembered(make: Make, lamps: Lamps) -> None:
    work = make()
    lamps.failure = errors.InUse("a guest has it")
    with pytest.raises(errors.InUse, match="a guest has it"):
        work.clean("op", unit())
    lamps.failure = None
    assert work.clean("op", unit())


def test_a_bug_in_a_driver_is_an_error_that_points_to_the_log(make: Make, lamps: Lamps) -> None:
    lamps.failure = KeyError("oops")
    with pytest.raises(errors.DriverError, match=r"^The driver failed; the agent's log says how\.$"):
        make().clean("op", unit())


def test_who_asks_while_it_runs_waits_for_the_same_work(make: Make, lamps: Lamps) -> None:
    work = make()
    lamps.gate.clear()
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(work.prepare, "op", unit(), {}) for _ in range(4)]
        time.sleep(0.05)
        lamps.gate.set()
        assert [one.result() for one in answers] == [PLAIN] * 4
    assert lamps.done == ["prepare vf0"]


@pytest.mark.parametrize(("addresses", "most"), [((CARD, CARD), 1), ((CARD, "0000:5e:00.0"), 2)])
def test_one_piece_of_work_at_a_time_at_a_card(make: Make, lamps: Lamps, addresses: tuple[str, str], most: int) -> None:
    work = make()
    lamps.gate.clear()
    with ThreadPoolExecutor() as pool:
        for number, address in enumerate(addresses):
            pool.submit(work.prepare, "op", unit(f"vf{number}", address), {})
        time.sleep(0.1)
        lamps.gate.set()
    assert lamps.most_at_once == most
    assert len(lamps.done) == 2


def test_nobody_waits_longer_than_the_limit_and_asking_again_finds_the_outcome(make: Make, lamps: Lamps) -> None:
    work = make(timeout=0.05)
    lamps.gate.clear()
    for _ in range(2):
        with pytest.raises(errors.Unavailable, match="goes on"):
            work.prepare("op", unit(), {})
    lamps.gate.set()
    deadline = time.monotonic() + 5
    while not lamps.done and time.monotonic() < deadline:
        time.sleep(0.01)
    assert work.prepare("op", unit(), {}) == PLAIN
    assert lamps.done == ["prepare vf0"]


def test_a_driver_that_only_looks_has_nothing_to_do_and_cleans_nothing(make: Make) -> None:
    work, looked = make(), unit(driver="lookers")
    assert work.prepare("op", looked, {}) == looked.info
    assert work.clean("op", looked) is False
    work.release("op", looked)


def test_a_driver_that_is_not_enabled_is_named(make: Make) -> None:
    with pytest.raises(errors.NotFound, match="no driver ghosts"):
        make().clean("op", unit(driver="ghosts"))


def test_without_a_disk_nothing_is_said_to_be_done(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.Unavailable, match="state_path"):
        make(directory="file").clean("op", unit())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": "this boot"}'])
def test_a_damaged_journal_costs_only_that_it_is_done_again(
    make: Make, lamps: Lamps, tmp_path: Path, text: str
) -> None:
    make().clean("op", unit())
    for file in (tmp_path / "journal").iterdir():
        file.write_text(text)
    make().clean("op", unit())
    assert lamps.done == ["clean vf0"] * 2


def test_a_prepare_that_comes_after_its_unit_was_taken_back_does_nothing(make: Make, lamps: Lamps) -> None:
    work = make()
    work.clean("take back", unit(), ends="bind")
    with pytest.raises(errors.Conflict, match="bind is over for vf0"):
        work.prepare("bind", unit(), {})
    work.release("take back", unit(), ends="bind")
    with pytest.raises(errors.Conflict, match="is over"):
        make(boot="the next boot").prepare("bind", unit(), {})
    assert lamps.done == ["clean vf0", "release vf0"]
    assert work.prepare("bind", unit("vf1"), {}) == PLAIN, "at another unit it is not over"
    assert work.prepare("another bind", unit(), {}) == PLAIN


def test_a_prepare_that_waits_for_the_card_is_called_off_by_who_takes_its_unit_back(make: Make, lamps: Lamps) -> None:
    work = make()
    lamps.gate.clear()
    with ThreadPoolExecutor() as pool:
        busy = pool.submit(work.prepare, "bind", unit("vf1"), {})
        while not lamps.at_once:
            time.sleep(0.01)
        late = pool.submit(work.prepare, "bind", unit(), {})
        back = pool.submit(work.release, "take back", unit(), ends="bind")
        time.sleep(0.1)
        lamps.gate.set()
        assert busy.result() == PLAIN
        back.result()
        with pytest.raises(errors.Conflict, match="is over"):
            late.result()
    assert lamps.done == ["prepare vf1", "release vf0"]


def test_a_late_message_of_a_cleaning_that_failed_does_not_reach_the_next_guest(make: Make, lamps: Lamps) -> None:
    work = make()
    lamps.failure = errors.DriverError("EIO")
    with pytest.raises(errors.DriverError):
        work.clean("first", unit())
    lamps.failure = None
    work.clean("second", unit(), ends="first")
    with pytest.raises(errors.Conflict, match="first is over"):
        work.clean("first", unit())


def test_what_was_prepared_here_is_held_whatever_its_caller_knew_and_until_it_is_released(
    make: Make, lamps: Lamps
) -> None:
    work = make()
    work.prepare("bind", unit("vf0"), {})
    work.clean("other", unit("vf1"))
    assert lamps.held["clean vf1"] == {"0000:3b:00.1"}
    make().clean("after a restart", unit("vf2"))
    assert lamps.held["clean vf2"] == {"0000:3b:00.1"}
    work.release("back", unit("vf0"))
    work.clean("later", unit("vf3"))
    make().clean("after a restart", unit("vf4"))
    assert not lamps.held["release vf0"] | lamps.held["clean vf3"] | lamps.held["clean vf4"]


def test_old_entries_go(tmp_path: Path) -> None:
    Journal(tmp_path, "boot").keep({}, "old")
    (old,) = tmp_path.iterdir()
    os.utime(old, (0, time.time() - KEPT - 10))
    Journal(tmp_path, "boot").keep({}, "new")
    assert old not in set(tmp_path.iterdir())


@pytest.fixture
def transport(conf: cfg.ConfigOpts) -> Iterator[messaging.Transport]:
    conf.set_override("transport_url", "fake://")
    transport = messaging.get_transport(conf)
    yield transport
    transport.cleanup()


def test_the_conductor_asks_a_host_by_its_name(
    conf: cfg.ConfigOpts, transport: messaging.Transport, make: Make, lamps: Lamps
) -> None:
    server = messaging.get_server(transport, messaging.AGENT_TOPIC, HOST, [HostWorkEndpoint(make())])
    server.start()
    client = AgentClient(conf, transport)
    try:
        assert client.prepare(HOST, "op", unit(), {"colour": "red"}) == PLAIN
        assert client.clean(HOST, "op", unit()) is True
        client.release(HOST, "op", unit())
        lamps.failure = errors.InUse("a guest has it")
        with pytest.raises(errors.InUse, match="a guest has it"):
            client.clean(HOST, "another", unit())
    finally:
        server.stop()
        server.wait()
    assert lamps.done == ["prepare vf0 red", "clean vf0", "release vf0"]


def test_a_host_that_does_not_answer_is_unavailable(conf: cfg.ConfigOpts, transport: messaging.Transport) -> None:
    conf.set_override("bind_timeout", 1)
    with pytest.raises(errors.Unavailable):
        AgentClient(conf, transport).clean("nowhere", "op", unit())


def test_an_agent_makes_a_virtual_function_for_a_direct_caller(
    conf: cfg.ConfigOpts, transport: messaging.Transport, tmp_path: Path
) -> None:
    """The whole way: a request's VF is made by the driver of an agent on a host that answers as a kernel does."""
    flex: dict[str, Any] = {"vendor": 0x8086, "device": 0x56C0, "class": 0x038000, "driver": "xe"}
    flex |= {"sriov_totalvfs": 8, "sriov_drivers_autoprobe": 1}
    twin = Twin({"pci": {CARD: flex}}, tmp_path / "twin")
    conf.set_override("state_path", str(tmp_path / "state"))
    agent = Agent(conf, transport, host_name=HOST, host=twin.host, driver_names=["intel_gpu_driver"])
    conf.set_override("vfs_on_demand", [f"{CARD}=2"], group="intel_gpu")
    agent = Agent(conf, transport, host_name=HOST, host=twin.host, driver_names=["intel_gpu_driver"])
    agent._server.start()
    wanted = Unit(
        uuid="u", driver="intel_gpu_driver", address=CARD, vendor="8086", model="56c0", key="vf1", info={"parent": CARD}
    )
    client = AgentClient(conf, transport)
    try:
        assert client.prepare(HOST, "bind", wanted, {})["function"] == "2"
        assert client.clean(HOST, "unbind", wanted) is True
        client.release(HOST, "unbind", wanted)
    finally:
        agent._server.stop()
        agent._server.wait()
    assert not [one for one in twin.host.pci() if one.is_vf]
    assert len(list((tmp_path / "state/host_work" / HOST).iterdir())) == 3
