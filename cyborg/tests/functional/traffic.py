# SPDX-License-Identifier: Apache-2.0
"""Servers that come and go all the time, through every API, and what was promised to them.

    with Traffic(fleet, users=4) as traffic:
        traffic.wait_for_boots()            # everybody has had a server since now
        ...                                 # make trouble
        traffic.wait_for_boots()
    traffic.broken_promises()               # [] when all that was answered is so

A user builds a server with two accelerators (requests, bind), deletes it, and begins again; the last server of each
stays. Like Nova's users, nobody gives up on a 503 or on a connection that breaks: the same is asked again, of the next
API. Every other error is a fault, and so is an answer that takes longer than PATIENCE.
"""

import http.client
import itertools
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from cyborg.tests.functional import books, standalone
from cyborg.tests.functional.client import Answer, Client
from cyborg.tests.functional.fleet import Fleet
from cyborg.tests.waiting import until

PROFILE = "two-gpus"
CARDS_OF_A_SERVER = 2
#: Until a request that is asked again and again is answered well.
PATIENCE = 120.0
PAUSE = 0.2
NO_ANSWER = 0
GOOD = {"POST": HTTPStatus.CREATED, "PATCH": HTTPStatus.ACCEPTED, "DELETE": HTTPStatus.NO_CONTENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """``status`` is NO_ANSWER when the connection broke, or was refused."""

    what: str
    begun: float
    seconds: float
    status: int

    @property
    def is_well(self) -> bool:
        return self.status not in (NO_ANSWER, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(slots=True, kw_only=True)
class Boot:
    instance: str
    begun: float
    requests: tuple[str, ...] = ()
    bound_at: float | None = None
    refusals: int = 0
    deleted: bool = False


class Fault(Exception):
    """Something was answered that is neither good nor a 503."""


@dataclass(kw_only=True)
class User:
    """One thread's part."""

    host: str
    provider: str
    boots: list[Boot] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


class Traffic:
    """Users are spread over the hosts; each host needs CARDS_OF_A_SERVER cards for each of its users."""

    def __init__(self, fleet: Fleet, *, users: int) -> None:
        self._fleet = fleet
        hosts = itertools.cycle(fleet.providers.items())
        self._users = [User(host=host, provider=provider) for host, provider in itertools.islice(hosts, users)]
        self._turn = itertools.count()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(users, thread_name_prefix="user")
        self.faults: list[str] = []

    def __enter__(self) -> Self:
        with Client(self._fleet.urls[0]) as client:
            if PROFILE not in {one["name"] for one in client.list("device_profiles")}:
                client.create_profile(PROFILE, standalone.GPU_TRAIT, amount=CARDS_OF_A_SERVER)
        for user in self._users:
            self._pool.submit(self._live, user)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Returns when everybody has a last server."""
        self._stopping.set()
        self._pool.shutdown()

    @property
    def boots(self) -> list[Boot]:
        return [boot for user in self._users for boot in list(user.boots)]

    @property
    def calls(self) -> list[Call]:
        return [call for user in self._users for call in list(user.calls)]

    def wait_for_boots(self) -> None:
        """Until everybody got a server that was asked for after this moment."""
        now = time.monotonic()

        def all_have() -> bool:
            assert not self.faults, self.faults
            return all(any(boot.bound_at and boot.begun >= now for boot in list(user.boots)) for user in self._users)

        until("everybody has got a server", all_have, patience=PATIENCE)

    def broken_promises(self) -> list[str]:
        """After `stop`: what was answered and is not so in the books, and whom Nova was not told of."""
        bound, known = books.bound(self._fleet.store), books.requests(self._fleet.store)
        kept = {one for boot in self.boots if boot.bound_at and not boot.deleted for one in boot.requests}
        gone = {one for boot in self.boots if boot.deleted for one in boot.requests}
        untold = [boot.instance for boot in self.boots if boot.bound_at and not self._told_of(boot)]
        return [
            *self.faults,
            *([f"{len(kept - bound)} bind(s) that were answered are lost"] if kept - bound else []),
            *([f"{len(gone & known)} request(s) that were deleted are back"] if gone & known else []),
            *([f"Nova was not told, in one call, of {untold}"] if untold else []),
        ]

    def _told_of(self, boot: Boot) -> bool:
        """Of all the server's requests, in one call; perhaps more than once."""
        return any(set(boot.requests) <= tags for tags in self._fleet.nova.told(boot.instance))

    def _live(self, user: User) -> None:
        try:
            while True:
                boot = self._build(user)
                if self._stopping.is_set():
                    return
                path = f"/v2/accelerator_requests?instance={boot.instance}"
                self._insist(user, boot, "DELETE", path, None)
                boot.deleted = True
        except Exception as exc:
            self.faults.append(f"{type(exc).__name__}: {exc}")

    def _build(self, user: User) -> Boot:
        boot = Boot(instance=str(uuid.uuid4()), begun=time.monotonic())
        user.boots.append(boot)
        path = "/v2/accelerator_requests"
        asked = {"device_profile_name": PROFILE}
        made = self._insist(user, boot, "POST", path, asked)
        requests = tuple(one["uuid"] for one in made.json["arqs"])
        wanted = {"hostname": user.host, "device_rp_uuid": user.provider, "instance_uuid": boot.instance}
        patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in wanted.items()]
        binds = dict.fromkeys(requests, patch)
        self._insist(user, boot, "PATCH", path, binds)
        boot.requests, boot.bound_at = requests, time.monotonic()
        return boot

    def _insist(self, user: User, boot: Boot, method: str, path: str, body: Any) -> Answer:
        """The good answer, whoever gives it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            urls = self._fleet.urls
            answer = self._ask(user, urls[next(self._turn) % len(urls)], method, path, body)
            if answer is not None and answer.status == GOOD[method]:
                return answer
            if answer is not None and answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise Fault(f"{method} {path}: {answer.status} {answer.text[:300]}")
            boot.refusals += 1
            time.sleep(PAUSE)
        raise Fault(f"{method} {path} was not answered well within {PATIENCE:g} seconds")

    def _ask(self, user: User, url: str, method: str, path: str, body: Any) -> Answer | None:
        """Over a connection of its own: what a kept one says of a server that stops is not always clear."""
        begun = time.monotonic()
        answer: Answer | None = None
        try:
            with Client(url) as client:
                answer = client.call(method, path) if body is None else client.call(method, path, body)
        except ConnectionRefusedError:
            return None  # that API is not there, and nobody has been asked anything
        except TimeoutError as exc:
            raise Fault(f"{method} {path} hung") from exc
        except (OSError, http.client.HTTPException):
            pass
        status = NO_ANSWER if answer is None else answer.status
        user.calls.append(Call(what=method, begun=begun, seconds=time.monotonic() - begun, status=status))
        return answer


def give_back(fleet: Fleet) -> None:
    """Delete every request; returns when every card is free again."""
    for machine in fleet.machines.values():
        machine.put_back()
    with Client(fleet.urls[0]) as client:
        for one in client.list("accelerator_requests"):
            which = f"instance={one['instance_uuid']}" if one["instance_uuid"] else f"arqs={one['uuid']}"
            client.call("DELETE", f"/v2/accelerator_requests?{which}").expect(204)
    total = sum(fleet.cards.values())
    until("every card is free", lambda: fleet.free() == total and not fleet.problems())
