# SPDX-License-Identifier: Apache-2.0
"""Kill `cyborg-manage placement reshape` at its seams while servers hold cards, and run it again.

    with moving_host(directory, database=url, transport_url=rabbit) as host:
        for at in host.points(Layout.NESTED):
            problems = host.kill_at(at, Layout.NESTED)      # dies there, is run again, and ends well
            host.move(Layout.COMPUTE_NODE)

Allocations are looked at while the host is half moved, too: each server has what it had, at every moment.
"""

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cyborg import crash
from cyborg.domain.shape import Layout
from cyborg.tests.functional import processes, standalone
from cyborg.tests.functional.client import Client
from cyborg.tests.functional.fleet import Fleet
from cyborg.tests.waiting import until

HOST = "gpu-1"
CARDS, SERVERS = 3, 2
PROFILE = "any-gpu"
AMOUNT = {"CUSTOM_ACCELERATOR": 1}
NOT_REACHED = "the command ended well before it came there"


class MovingHost:
    """With ``servers`` that hold a card each, and one card that is free."""

    def __init__(self, fleet: Fleet, client: Client) -> None:
        self._fleet = fleet
        self._client = client
        self._client.create_profile(PROFILE, standalone.GPU_TRAIT)
        until("the cards are there", lambda: len(self._client.list("devices")) == CARDS)
        self.servers = [self._build() for _ in range(SERVERS)]

    def points(self, to: Layout) -> list[str]:
        """Those that the command comes through on its way there, each as NAME:NUMBER; the host is there afterwards."""
        log = self._fleet.directory / f"points-{uuid.uuid4().hex[:8]}"
        assert self.move(to, {crash.LOG: str(log)}) == 0
        hits: Counter[str] = Counter()
        points = []
        for name in log.read_text(encoding="utf-8").split():
            hits[name] += 1
            points.append(f"{name}:{hits[name]}")
        return points

    def move(self, to: Layout, environment: dict[str, str] | None = None) -> int:
        """The command's exit status; it begins when the agent has opened what is free."""
        until("all books agree", lambda: not self._fleet.problems())
        return self._run(to, environment or {}).wait_end()

    def kill_at(self, at: str, to: Layout) -> list[str]:
        """What is wrong when it was killed there, or after it was run again; [] is well."""
        log = self._fleet.directory / f"death-{uuid.uuid4().hex[:8]}"
        status = self.move(to, {crash.AT: at, crash.LOG: str(log)})
        if status == 0:
            return [NOT_REACHED]
        wrong = [f"half moved: {line}" for line in self._wrong_allocations()]
        again = self._run(to, {})
        if again.wait_end() != 0:
            return [*wrong, f"run again it fails: {again.output[-300:]}"]
        return [*wrong, *self._wrong_allocations(), *self._wrong_books(to)]

    def _run(self, to: Layout, environment: dict[str, str]) -> processes.Process:
        arguments = ("placement", "reshape", "--host", HOST, "--to", str(to), "--wait", "10")
        return self._fleet.command("cyborg-manage", *arguments, environment=environment)

    def _build(self) -> str:
        server, provider = str(uuid.uuid4()), self._fleet.providers[HOST]
        until("all books agree", lambda: not self._fleet.problems())
        self._fleet.placement_server.claim(provider, AMOUNT, consumer=server)
        (request,) = self._client.create(PROFILE)
        self._client.bind(request, host=HOST, provider=provider, instance=server).expect(202)
        return server

    def _allocations(self, server: str) -> dict[str, Any]:
        answer = self._fleet.placement_server.request("GET", f"/allocations/{server}")
        return {provider: part["resources"] for provider, part in answer["allocations"].items()}

    def _wrong_allocations(self) -> list[str]:
        found = {server: self._allocations(server) for server in self.servers}
        return [f"{server} has {has}" for server, has in found.items() if list(has.values()) != [AMOUNT]]

    def _wrong_books(self, to: Layout) -> list[str]:
        wrong = []
        for server in self.servers:
            (request,) = self._client.of_instance(server)
            if [request["device_rp_uuid"]] != list(self._allocations(server)):
                wrong.append(f"the request of {server} is said to be on {request['device_rp_uuid']}")
            if (request["device_rp_uuid"] == self._fleet.providers[HOST]) != (to is Layout.COMPUTE_NODE):
                wrong.append(f"{server} is not where {to} would have it")
        return wrong


@contextmanager
def moving_host(directory: Path, *, database: str, transport_url: str) -> Iterator[MovingHost]:
    with Fleet(directory, database=database, transport_url=transport_url, cards={HOST: CARDS}) as fleet:
        fleet.start("api-1", "conductor-1", f"agent-{HOST}")
        with Client(fleet.urls[0]) as client:
            yield MovingHost(fleet, client)
