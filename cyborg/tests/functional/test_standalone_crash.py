# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of binding, again and again: the books stay whole, and Placement equal to them."""

import contextlib
import http.client
import random
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from cyborg.domain import arq, inventory
from cyborg.domain.view import view
from cyborg.store import hosts
from cyborg.store.engine import Store
from cyborg.store.models import Accelerator, Arq, Instance, Operation
from cyborg.store.operations import TURN
from cyborg.tests.functional import standalone
from cyborg.tests.functional.client import Client
from cyborg.tests.functional.standalone import Process
from cyborg.tests.waiting import until

ROUNDS = 5
CLIENTS = 4
PERIOD = 1
#: What a machine that is busy with other tests adds to a period.
SLACK = 5.0
PROFILE = "any-gpu"
#: So few that the last one is often taken: then the traits go, and come back.
CARDS = {"gpu-1": 2, "gpu-2": 3}
#: A shorter lease than is sensible, to see that another one takes over what a dead conductor left.
OPTIONS = "[conductor]\noperation_lease = 5\noperation_interval = 1\n"


@dataclass
class Promises:
    """What the service has answered so far, and a crash must not take back."""

    bound: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)


class Nova(threading.Thread):
    """Creates, binds, reads and deletes until the service is gone; what was bound then stays so."""

    def __init__(self, url: str, providers: dict[str, str], promises: Promises, seed: float) -> None:
        super().__init__(daemon=True)
        self._client = Client(url)
        self._providers = providers
        self._promises = promises
        self._random = random.Random(seed)

    def run(self) -> None:
        with self._client, contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                self._one_server()

    def _one_server(self) -> None:
        instance, host = str(uuid.uuid4()), self._random.choice(sorted(self._providers))
        (request,) = self._client.create(PROFILE)
        answer = self._client.bind(request, host=host, provider=self._providers[host], instance=instance)
        if answer.status != 202:
            answer.expect(409)
            self._client.call("DELETE", f"/v2/accelerator_requests/{request}").expect(204)
            self._promises.deleted.add(request)
            return
        self._promises.bound.add(request)
        self._client.show(request)
        self._promises.bound.discard(request)
        self._client.delete_for_instance(instance)
        self._promises.deleted.add(request)


@contextlib.contextmanager
def opened(state: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{state / 'cyborg.db'}")
    try:
        yield store
    finally:
        store.dispose()


def check_books(state: Path, promises: Promises) -> dict[str, inventory.Host]:
    """Every held accelerator has its one Bound request, and the other way round; the hosts as they are stored."""
    with opened(state) as store, store.reading() as tx:
        holders = [uuid for uuid in tx.execute(select(Accelerator.arq_uuid)).scalars() if uuid]
        requests = {row.uuid: row for row in tx.execute(select(Arq.uuid, Arq.state, Arq.instance_uuid))}
        instances = set(tx.execute(select(Instance.instance_uuid)).scalars())
        stored = {name: hosts.load(tx, name) for name in CARDS}
    bound = {uuid for uuid, row in requests.items() if row.state is arq.State.BOUND}
    assert sorted(holders) == sorted(bound)
    assert {row.state for row in requests.values()} <= {arq.State.INITIAL, arq.State.BOUND}
    assert instances == {row.instance_uuid for row in requests.values() if row.instance_uuid}
    assert promises.bound <= bound, "a bind that was answered is lost"
    assert not promises.deleted & requests.keys(), "a request that was deleted is back"
    return {name: host for name, host in stored.items() if host is not None}


def is_published(client: Client, host: inventory.Host) -> bool:
    """Whether Placement shows what the books say: the amounts, and the traits of what is free."""
    (wanted,) = view(host).providers
    seen = standalone.shown(client, host.name)
    free = [unit for _, _, unit in host.units() if unit.holder is None]
    assert (standalone.GPU_TRAIT in wanted.traits) == bool(free)
    return seen.traits == wanted.traits and seen.amount == (CARDS[host.name], 0)


def check_after_start(client: Client, state: Path, promises: Promises) -> None:
    books = check_books(state, promises)
    assert {name: len(list(host.units())) for name, host in books.items()} == CARDS
    for host in books.values():
        until(
            f"Placement shows the books of {host.name}",
            lambda host=host: is_published(client, host),  # type: ignore[misc]
            patience=PERIOD + SLACK,
        )
    held = [one["attach_handle_uuid"] for one in client.list("accelerator_requests") if one["state"] == "Bound"]
    assert len(held) == len(set(held)) == sum(1 for host in books.values() for *_, unit in host.units() if unit.holder)


def disturb(url: str, promises: Promises, process: Process, seed: float) -> None:
    """Let the clients work for a moment, then kill."""
    with Client(url) as client:
        providers = {name: standalone.shown(client, name).provider for name in CARDS}
        bound = [one for one in client.list("accelerator_requests") if one["state"] == "Bound"]
        for one in bound[1:]:  # the first keeps its accelerator, over this crash too
            promises.bound.discard(one["uuid"])
            client.delete_for_instance(one["instance_uuid"])
    clients = [Nova(url, providers, promises, seed + number) for number in range(CLIENTS)]
    for nova in clients:
        nova.start()
    time.sleep(random.Random(seed).uniform(0.1, 1.5))
    process.kill()
    for nova in clients:
        nova.join(standalone.PATIENCE)
        assert not nova.is_alive()


def give_everything_back(client: Client, state: Path) -> None:
    for request in client.list("accelerator_requests"):
        if request["instance_uuid"]:
            client.delete_for_instance(request["instance_uuid"])
        else:
            client.call("DELETE", f"/v2/accelerator_requests?arqs={request['uuid']}").expect(204)
    books = check_books(state, Promises())
    assert all(unit.holder is None for host in books.values() for *_, unit in host.units())
    for host in books.values():
        until("all is free", lambda host=host: is_published(client, host))  # type: ignore[misc]
    assert not client.list("accelerator_requests")
    with opened(state) as store:

        def nothing_is_left_to_do() -> bool:
            with store.reading() as tx:
                return not tx.execute(select(Operation.id).where(~Operation.kind.startswith(TURN))).all()

        until("what the dead left to do is done", nothing_is_left_to_do)


def test_nothing_is_leaked_or_held_twice_when_the_service_is_killed_while_it_binds(tmp_path: Path) -> None:
    state, promises, seed = tmp_path / "state", Promises(), time.time()
    print(f"seed {seed}")
    options = tmp_path / "cyborg.conf"
    options.write_text(OPTIONS, encoding="utf-8")
    arguments = [f"--config-file={options}", f"--drivers={standalone.GPU_DRIVER}", f"--interval={PERIOD}"]
    for name, cards in CARDS.items():
        recording = standalone.gpu_host(tmp_path / f"{name}.yaml", cards=cards)
        arguments.append(f"--simulated-host={name}={recording}")
    for number in range(ROUNDS):
        with Process(state, *arguments) as process:
            url = process.wait_ready()
            with Client(url) as client:
                if number == 0:
                    client.create_profile(PROFILE, standalone.GPU_TRAIT)
                check_after_start(client, state, promises)
            disturb(url, promises, process, seed + number)
            check_books(state, promises)
    print(f"{len(promises.deleted)} requests deleted, {len(promises.bound)} kept")
    assert promises.deleted, "nobody did anything"
    with Process(state, *arguments) as process, Client(process.wait_ready()) as client:
        check_after_start(client, state, promises)
        give_everything_back(client, state)
        assert process.stop() == 0
