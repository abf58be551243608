# SPDX-License-Identifier: Apache-2.0
"""What things cost, in SQL statements, counted through the API, the conductor and what follows the answer.

Counts, never times. On every engine; the numbers are the same with little and with much in the database.
"""

import functools
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Connection, event, insert

from cyborg import conf as configuration
from cyborg.agent.service import Agent
from cyborg.domain import arq, profile, reconcile, view
from cyborg.drivers import recorded
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.store import arqs, hosts, models
from cyborg.store.engine import Store
from cyborg.tests import builders, databases
from cyborg.tests.functional import standalone
from cyborg.tests.functional.client import Client
from cyborg.tests.functional.standalone import Running
from cyborg.tests.placement_fixture import PlacementFixture

HOST = "host-0"
PROFILE = "any-gpu"
BIND_BUDGET = 12
#: The page, and what is shown with it: where it goes on, holders, counts, shares.
LIST_BUDGET = 3
FEW, MANY, MANY_REQUESTS = 10, 2000, 10_000
CARDS = 10
FIRST_LISTS = ("accelerator_requests", "attributes", "deployables", "device_profiles", "devices")
#: By version: without pages, and with them.
LISTS = {"2.0": FIRST_LISTS, "latest": (*FIRST_LISTS, "accelerators", "hosts")}
#: The threads of work that recurs, whenever it likes; "operations" renews leases and has workers with numbers.
PERIODIC = ("host_watch", "arq_expiry", "operation_retention", "audit", "operations")
CONTROL = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")


class Ledger:
    """The transactions of a store, each the statements that it executed; those of periodic work are not counted."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.writing: list[list[str]] = []
        self._open: dict[int, list[str]] = {}
        self._guard = threading.Lock()

    @property
    def statements(self) -> list[str]:
        return [statement for transaction in self.transactions for statement in transaction]

    def begin(self, connection: Connection) -> None:
        with self._guard:
            begun = self._open[id(connection)] = []
            if threading.current_thread().name in PERIODIC:
                return
            self.transactions.append(begun)
            if connection.get_execution_options().get("immediate"):
                self.writing.append(begun)

    def execute(self, connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(CONTROL):
            # One that was begun before is nobody's.
            self._open.get(id(connection), []).append(statement)


@contextmanager
def ledger(store: Store) -> Iterator[Ledger]:
    """What the block costs."""
    kept = Ledger()
    event.listen(store.engine, "begin", kept.begin)
    event.listen(store.engine, "before_cursor_execute", kept.execute)
    try:
        yield kept
    finally:
        event.remove(store.engine, "begin", kept.begin)
        event.remove(store.engine, "before_cursor_execute", kept.execute)


class Cloud:
    """A service with one host of one card, so that a bind changes what Placement shows, and what it costs to use it."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.client: Client = running.client
        self.store = running.service.store
        self.provider = running.provider(HOST)

    def cost(self, work: Callable[[], Any]) -> Ledger:
        """Of ``work`` and all that follows from it."""
        with ledger(self.store) as kept:
            work()
            self.running.settle()
        return kept

    def bind(self, request: str, instance: str) -> None:
        self.client.bind(request, host=HOST, provider=self.provider, instance=instance).expect(202)

    def life(self) -> dict[str, Ledger]:
        """The cost of each step of one request's life."""
        made: list[str] = []
        instance = str(uuid.uuid4())
        steps: dict[str, Callable[[], Any]] = {
            "create": lambda: made.extend(self.client.create(PROFILE)),
            "bind": lambda: self.bind(made[0], instance),
            "read one": lambda: self.client.show(made[0]),
            "read those of an instance": lambda: self.client.of_instance(instance),
            "delete": lambda: self.client.delete_for_instance(instance),
        }
        return {name: self.cost(work) for name, work in steps.items()}

    def list(self, collection: str, version: str) -> None:
        headers = {"OpenStack-API-Version": f"accelerator {version}"}
        self.client.call("GET", f"/v2/{collection}", headers=headers).expect(200)

    def store_requests(self, count: int) -> None:
        """Requests of several projects."""
        group = profile.Group(resources={"CUSTOM_ACCELERATOR": 1}, traits={})
        made = [
            arq.Arq(
                uuid=str(uuid.uuid4()),
                project_id=f"project-{number % 7}",
                state=arq.State.INITIAL,
                profile_name=PROFILE,
                group_id=0,
                group=group,
            )
            for number in range(count)
        ]
        with self.running.observer.transaction() as tx:
            arqs.create(tx, made)

    def store_profiles(self, count: int) -> None:
        rows = [
            {"uuid": str(uuid.uuid4()), "name": f"profile-{uuid.uuid4()}", "groups": [{"resources:CUSTOM_X": "1"}]}
            for _ in range(count)
        ]
        with self.running.observer.transaction() as tx:
            tx.execute(insert(models.DeviceProfile), rows)

    def add_hosts(self, count: int, *, cards: int) -> None:
        """Into the books, as a conductor does it."""
        for name in (f"host-{uuid.uuid4()}" for _ in range(count)):
            with self.running.observer.transaction() as tx:
                hosts.sync(tx, name, str(uuid.uuid4()), {})
                before = hosts.get_or_create(tx, name)
                seen = builders.gpu_host(name, cards)
                hosts.save(tx, before, view.advance(before, reconcile.plan(before, seen, absence_limit=3)))

    @property
    def conductor(self) -> ConductorClient:
        conf = self.running.conf
        return ConductorClient(conf, messaging.get_transport(conf))

    def fill(self, rows: int) -> None:
        """So many further rows of every kind, with hosts of ten cards each."""
        self.store_requests(rows)
        self.store_profiles(rows)
        self.add_hosts(rows // CARDS, cards=CARDS)


@pytest.fixture(scope="module", params=databases.ENGINES)
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    directory: Path = tmp_path_factory.mktemp("budgets")
    recording = standalone.gpu_host(directory / "host.yaml", cards=1)
    with (
        databases.fresh(request.param, directory) as url,
        standalone.in_process(directory, {HOST: recording}, database=url) as one,
    ):
        one.client.create_profile(PROFILE, standalone.GPU_TRAIT)
        cloud = Cloud(one)
        cloud.store_requests(FEW)
        cloud.life()
        yield cloud


@pytest.fixture
def agent(cloud: Cloud, tmp_path: Path) -> Iterator[tuple[Agent, PlacementFixture]]:
    """An agent that has reported and published, with three drivers, towards a Placement that keeps a log."""
    conf = configuration.new_config()
    conf([], default_config_files=[])
    conf.set_override("transport_url", "fake://")
    conf.set_override("control_exchange", cloud.running.conf.control_exchange)
    host = recorded.materialise(standalone.gpu_host(tmp_path / "host.yaml", cards=8), tmp_path / "host")
    with PlacementFixture() as placement:
        placement.configure(conf)
        placement.create_provider("reporting")
        names = [standalone.GPU_DRIVER, "intel_fpga_driver", "pci_driver"]
        made = Agent(conf, messaging.get_transport(conf), host_name="reporting", host=host, driver_names=names)
        made.reporter.run_once()
        placement.log.clear()
        yield made, placement


def counts(life: dict[str, Ledger]) -> dict[str, int]:
    return {step: len(kept.statements) for step, kept in life.items()}


def test_a_life_costs_a_few_statements_and_binding_at_most_twelve(cloud: Cloud) -> None:
    life = cloud.life()
    assert counts(life) == {
        "create": 3,
        "bind": 12,
        "read one": 1,
        "read those of an instance": 1,
        "delete": 11,
    }, "\n".join(life["bind"].statements)
    assert len(life["bind"].statements) <= BIND_BUDGET


def test_a_bind_is_one_write_transaction_and_what_follows_touches_only_its_own_row(cloud: Cloud) -> None:
    bind, after = cloud.life()["bind"].writing
    assert any("UPDATE arqs" in statement for statement in bind)
    assert [statement.split()[:3] for statement in after] == [["DELETE", "FROM", "operations"]]


def test_reading_writes_nothing_and_the_other_steps_are_one_write_transaction_each(cloud: Cloud) -> None:
    life = cloud.life()
    assert {step: len(kept.writing) for step, kept in life.items() if step != "bind"} == {
        "create": 1,
        "read one": 0,
        "read those of an instance": 0,
        "delete": 1,
    }


def test_a_second_bind_of_an_instance_is_refused_at_a_bounded_cost(cloud: Cloud) -> None:
    first, second = cloud.client.create(PROFILE) + cloud.client.create(PROFILE)
    instance = str(uuid.uuid4())
    cloud.bind(first, instance)
    cloud.running.settle()
    kept = cloud.cost(
        lambda: cloud.client.bind(second, host=HOST, provider=cloud.provider, instance=instance).expect(400)
    )
    assert len(kept.statements) <= BIND_BUDGET
    cloud.client.call("DELETE", f"/v2/accelerator_requests?arqs={first},{second}").expect(204)


def test_an_unchanged_report_is_two_statements_one_placement_read_and_no_write(
    cloud: Cloud, agent: tuple[Agent, PlacementFixture]
) -> None:
    reporting, placement = agent
    kept = cloud.cost(reporting.reporter.run_once)
    assert len(kept.statements) <= 2, "\n".join(kept.statements)
    assert len(placement.log) <= 1
    assert all(request.is_read for request in placement.log)


def test_a_report_costs_the_same_for_one_card_and_for_sixteen(cloud: Cloud) -> None:
    def first_report(cards: int) -> int:
        name = f"host-{uuid.uuid4()}"
        report = builders.gpu_host(name, cards)
        cloud.conductor.sync(name, str(uuid.uuid4()), {}, -1)
        return len(cloud.cost(lambda: cloud.conductor.report(report)).statements)

    assert first_report(1) == first_report(16)


@contextmanager
def rounds_held(agent: Agent) -> Iterator[Callable[[], None]]:
    """Host work makes the agent look, a moment later; in the block it looks when the given function is called."""
    round_of_agent, held = agent.reporter.run_once, threading.Lock()

    def when_allowed() -> None:
        with held:
            round_of_agent()

    with mock.patch.object(agent.reporter, "run_once", when_allowed), held:
        yield round_of_agent


WORKING = """
[agent]
clean = true
[fake_devices]
accelerators = 1
host_work = prepare
"""


def test_a_card_that_its_host_prepares_and_cleans_costs_a_few_statements_more(tmp_path: Path) -> None:
    recording = tmp_path / "host.yaml"
    recording.write_text("{}", encoding="utf-8")
    service = standalone.in_process(tmp_path, {HOST: recording}, drivers=["fake_driver"], config=WORKING)
    with service as running:
        running.client.create_profile(PROFILE, "CUSTOM_FAKE_DEVICE")
        cloud = Cloud(running)
        (agent,) = running.service.agents
        with rounds_held(agent) as look:
            cloud.life()
            look()
            life = cloud.life()
            after = cloud.cost(look)
        assert counts(life) == {
            "create": 3,
            "bind": 27,
            "read one": 1,
            "read those of an instance": 1,
            "delete": 22,
        }, "\n".join(life["bind"].statements + life["delete"].statements)
        # Books, then the host, then books again.
        assert {step: len(life[step].writing) for step in ("bind", "delete")} == {"bind": 3, "delete": 2}
        assert len(after.statements) <= 5, "\n".join(after.statements)


def test_costs_do_not_depend_on_how_much_is_stored(cloud: Cloud) -> None:
    """The last of this file, because it fills the database."""

    def lists() -> dict[str, int]:
        asked = {f"{name} {version}": (name, version) for version, names in LISTS.items() for name in names}
        return {
            text: len(cloud.cost(functools.partial(cloud.list, name, version)).statements)
            for text, (name, version) in asked.items()
        }

    cloud.fill(FEW)
    with_little = counts(cloud.life()), lists()
    cloud.fill(MANY)
    cloud.store_requests(MANY_REQUESTS)
    there = cloud.running.rows()
    assert there["hosts"] >= MANY // CARDS
    assert there["arqs"] >= MANY_REQUESTS
    assert all(there[table] >= MANY for table in ("attributes", "deployables", "device_profiles", "devices"))
    assert (counts(cloud.life()), lists()) == with_little
    first = {text: cost for text, cost in with_little[1].items() if text.endswith("2.0")}
    assert set(first.values()) == {1}, first
    assert max(with_little[1].values()) <= LIST_BUDGET, with_little[1]
