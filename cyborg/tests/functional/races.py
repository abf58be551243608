# SPDX-License-Identifier: Apache-2.0
"""Many bind at once through several API and conductor processes: as many win as there are cards, and none waits.

with race_course(directory, database=url, transport_url=rabbit, apis=4, conductors=3) as course:
    for name, race in RACES.items():
        race(course, 200)               # raises AssertionError when something else came out
        course.clean()
"""

import contextlib
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from cyborg.domain import arq
from cyborg.store.models import Accelerator, Arq
from cyborg.tests.functional import standalone
from cyborg.tests.functional.client import Answer, Client
from cyborg.tests.functional.fleet import Fleet, named
from cyborg.tests.waiting import until

HOST = "gpu-1"
CARDS = 12
PROFILE = "any-gpu"
#: A process that is asked by very many has a right to think.
OPTIONS = {"DEFAULT": {"bind_timeout": 60}}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    fleet: Fleet

    def all_at_once(self, works: Sequence[Callable[[Client], Answer]]) -> list[Answer]:
        """Each in a thread, on one of the APIs; they start together."""
        start = threading.Barrier(len(works))
        urls = self.fleet.urls

        def run(number: int) -> Answer:
            start.wait(60)
            with Client(urls[number % len(urls)]) as client:
                return works[number](client)

        with ThreadPoolExecutor(len(works)) as pool:
            return list(pool.map(run, range(len(works))))

    def create(self, count: int) -> list[str]:
        with Client(self.fleet.urls[0]) as client:
            return [request for _ in range(count) for request in client.create(PROFILE)]

    def bind(self, request: str, instance: str) -> Callable[[Client], Answer]:
        provider = self.fleet.providers[HOST]
        return lambda client: client.bind(request, host=HOST, provider=provider, instance=instance)

    def states(self) -> Counter[arq.State]:
        with self.fleet.store.reading() as tx:
            return Counter(tx.execute(select(Arq.state)).scalars())

    def holders(self) -> list[str]:
        with self.fleet.store.reading() as tx:
            return [holder for holder in tx.execute(select(Accelerator.arq_uuid)).scalars() if holder]

    def clean(self) -> None:
        with Client(self.fleet.urls[0]) as client:
            for one in client.list("accelerator_requests"):
                which = f"instance={one['instance_uuid']}" if one["instance_uuid"] else f"arqs={one['uuid']}"
                client.call("DELETE", f"/v2/accelerator_requests?{which}").expect(204)
        assert self.holders() == []
        until("all books agree", lambda: not self.fleet.problems())


@contextlib.contextmanager
def race_course(directory: Path, *, database: str, transport_url: str, apis: int, conductors: int) -> Iterator[Course]:
    fleet = Fleet(directory, database=database, transport_url=transport_url, cards={HOST: CARDS}, options=OPTIONS)
    with fleet:
        fleet.start(*named("api", apis), *named("conductor", conductors), f"agent-{HOST}")
        with Client(fleet.urls[0]) as client:
            client.create_profile(PROFILE, standalone.GPU_TRAIT)
            until("the cards are there", lambda: len(client.list("devices")) == CARDS)
        yield Course(fleet=fleet)


def many_for_few(course: Course, racers: int) -> str:
    """As many binds win as there are cards, the others are told why."""
    answers = course.all_at_once([course.bind(request, str(uuid.uuid4())) for request in course.create(racers)])
    _told(answers, {202: CARDS, 409: racers - CARDS})
    assert all("cannot serve" in one.words for one in answers if one.status == 409)
    assert course.states() == {arq.State.BOUND: CARDS, arq.State.INITIAL: racers - CARDS}
    assert len(set(course.holders())) == CARDS
    return f"{CARDS} bound, {racers - CARDS} refused with a reason"


def many_for_one_request(course: Course, racers: int) -> str:
    """Of many who bind one request for different servers one wins."""
    (request,) = course.create(1)
    answers = course.all_at_once([course.bind(request, str(uuid.uuid4())) for _ in range(racers)])
    _told(answers, {202: 1, 409: racers - 1})
    assert course.holders() == [request]
    return f"1 bound, {racers - 1} refused with a reason"


def two_for_each_request(course: Course, racers: int) -> str:
    """Two binders of one request for different servers, of as many requests as there are cards: one wins, each time."""
    requests = course.create(min(CARDS, racers // 2))
    answers = course.all_at_once([course.bind(one, str(uuid.uuid4())) for one in requests for _ in range(2)])
    pairs = [sorted(one.status for one in pair) for pair in zip(answers[0::2], answers[1::2], strict=True)]
    assert pairs == [[202, 409]] * len(requests), _words(answers)
    assert sorted(course.holders()) == sorted(requests)
    return f"{len(requests)} pairs, one of each bound"


def many_for_one_server(course: Course, racers: int) -> str:
    """Of many requests for one server that are bound apart one wins."""
    instance = str(uuid.uuid4())
    answers = course.all_at_once([course.bind(request, instance) for request in course.create(racers)])
    _told(answers, {202: 1, 400: racers - 1})
    assert len(course.holders()) == 1
    return f"1 bound, {racers - 1} refused with a reason"


def deletes_against_binds(course: Course, racers: int) -> str:
    """Deletes and binds of the same requests leave nothing held."""
    requests = course.create(racers // 2)
    works: list[Callable[[Client], Answer]] = []
    for request in requests:
        works.append(course.bind(request, str(uuid.uuid4())))
        works.append(lambda client, one=request: client.call("DELETE", f"/v2/accelerator_requests?arqs={one}"))  # type: ignore[misc]
    answers = course.all_at_once(works)
    assert {one.status for one in answers[0::2]} <= {202, 404, 409}, _words(answers[0::2])
    assert {one.status for one in answers[1::2]} == {204}, _words(answers[1::2])
    assert course.holders() == []
    assert course.states() == {}
    won = sum(one.status == 202 for one in answers[0::2])
    return f"{won} bound before their deletion, nothing held"


def _told(answers: Sequence[Answer], expected: Mapping[int, int]) -> None:
    assert Counter(one.status for one in answers) == expected, _words(answers)


def _words(answers: Sequence[Answer]) -> Counter[str]:
    """What each was told, without what differs from one request to the other."""
    return Counter(f"{one.status} {UUID.sub('...', one.words) if one.status >= 400 else ''}" for one in answers)


RACES: Mapping[str, Callable[[Course, int], str]] = {
    "many for few cards": many_for_few,
    "many for one request": many_for_one_request,
    "two for each request": two_for_each_request,
    "many for one server": many_for_one_server,
    "deletes against binds": deletes_against_binds,
}
