# SPDX-License-Identifier: Apache-2.0
"""Many bind at once through several API and conductor processes: as many win as there are cards, and none waits.

CYBORG_TEST_RACERS=200 makes it harder than the default.
"""

import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from cyborg.domain import arq
from cyborg.store.engine import Store
from cyborg.store.models import Accelerator, Arq
from cyborg.tests import databases
from cyborg.tests.functional import crash_sites, processes, standalone
from cyborg.tests.functional.client import Answer, Client
from cyborg.tests.functional.deployment import rabbitmq
from cyborg.tests.functional.standalone import until

pytestmark = pytest.mark.servers

RACERS = int(os.environ.get("CYBORG_TEST_RACERS", "64"))
CARDS = 12
APIS, CONDUCTORS = 2, 2
PROFILE = "any-gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Where it is raced: the addresses of the APIs, and the books."""

    urls: Sequence[str]
    provider: str
    store: Store

    def all_at_once(self, works: Sequence[Callable[[Client], Answer]]) -> list[Answer]:
        """Each in a thread, on one of the APIs; they start together."""
        start = threading.Barrier(len(works))

        def run(number: int) -> Answer:
            with Client(self.urls[number % len(self.urls)]) as client:
                client.call("GET", "/v2").expect(200)
                start.wait(60)
                return works[number](client)

        with ThreadPoolExecutor(len(works)) as pool:
            return list(pool.map(run, range(len(works))))

    def create(self, count: int) -> list[str]:
        with Client(self.urls[0]) as client:
            return [request for _ in range(count) for request in client.create(PROFILE)]

    def bind(self, request: str, instance: str) -> Callable[[Client], Answer]:
        return lambda client: client.bind(request, host=crash_sites.HOST, provider=self.provider, instance=instance)

    def states(self) -> Counter[arq.State]:
        with self.store.reading() as tx:
            return Counter(tx.execute(select(Arq.state)).scalars())

    def holders(self) -> list[str]:
        with self.store.reading() as tx:
            return [holder for holder in tx.execute(select(Accelerator.arq_uuid)).scalars() if holder]

    def clean(self) -> None:
        with Client(self.urls[0]) as client:
            for one in client.list("accelerator_requests"):
                which = f"instance={one['instance_uuid']}" if one["instance_uuid"] else f"arqs={one['uuid']}"
                client.call("DELETE", f"/v2/accelerator_requests?{which}").expect(204)
        assert self.holders() == []


@pytest.fixture(scope="module", params=list(databases.VARIABLES))
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    directory: Path = tmp_path_factory.mktemp("races")
    with (
        databases.fresh(request.param, directory) as url,
        crash_sites.Deployed(directory, database=url, transport_url=rabbitmq(), cards=CARDS) as site,
        ExitStack() as more,
    ):
        for number in range(1, CONDUCTORS):
            conductor = processes.Process(f"conductor-{number}", site.argv("conductor"), directory)
            more.enter_context(conductor)
            conductor.wait_for("Conductor started")
        ports = [site.port, *(processes.free_port() for _ in range(1, APIS))]
        for port in ports[1:]:
            argv = [*site.argv("api"), "--config-file", str(_port_file(directory, port))]
            more.enter_context(processes.Process(f"api-{port}", argv, directory))
            until("the other API listens", lambda port=port: processes.listens(port))  # type: ignore[misc]
        provider = site.placement.get(f"/resource_providers?name={crash_sites.HOST}")["resource_providers"][0]["uuid"]
        with Client(site.url) as client:
            client.create_profile(PROFILE, standalone.GPU_TRAIT)
            until("the cards are there", lambda: len(client.list("devices")) == CARDS)
        yield Field(urls=[f"http://127.0.0.1:{port}" for port in ports], provider=provider, store=site.store)


@pytest.fixture
def field(running: Field) -> Iterator[Field]:
    yield running
    running.clean()


def _port_file(directory: Path, port: int) -> Path:
    path = directory / f"api-{port}.conf"
    path.write_text(f"[api]\nport = {port}\n", encoding="utf-8")
    return path


def test_as_many_binds_win_as_there_are_cards_and_the_others_are_told_why(field: Field) -> None:
    answers = field.all_at_once([field.bind(request, str(uuid.uuid4())) for request in field.create(RACERS)])
    assert Counter(one.status for one in answers) == {202: CARDS, 409: RACERS - CARDS}
    assert all("cannot serve" in one.words for one in answers if one.status == 409)
    assert field.states() == {arq.State.BOUND: CARDS, arq.State.INITIAL: RACERS - CARDS}
    assert len(set(field.holders())) == CARDS


def test_of_many_who_bind_one_request_for_different_servers_one_wins(field: Field) -> None:
    (request,) = field.create(1)
    answers = field.all_at_once([field.bind(request, str(uuid.uuid4())) for _ in range(RACERS // 4)])
    assert Counter(one.status for one in answers) == {202: 1, 409: RACERS // 4 - 1}
    assert field.holders() == [request]


def test_of_many_requests_for_one_server_that_are_bound_apart_one_wins(field: Field) -> None:
    instance = str(uuid.uuid4())
    answers = field.all_at_once([field.bind(request, instance) for request in field.create(RACERS // 4)])
    assert Counter(one.status for one in answers) == {202: 1, 400: RACERS // 4 - 1}
    assert len(field.holders()) == 1


def test_deletes_and_binds_of_the_same_requests_leave_nothing_held(field: Field) -> None:
    requests = field.create(CARDS)
    works: list[Callable[[Client], Answer]] = []
    for request in requests:
        works.append(field.bind(request, str(uuid.uuid4())))
        works.append(lambda client, one=request: client.call("DELETE", f"/v2/accelerator_requests?arqs={one}"))  # type: ignore[misc]
    answers = field.all_at_once(works)
    assert {one.status for one in answers[0::2]} <= {202, 404, 409}
    assert {one.status for one in answers[1::2]} == {204}
    assert field.holders() == []
    assert field.states() == {}
