# SPDX-License-Identifier: Apache-2.0
"""Kill a process at every seam of a whole life of servers, and see that nothing is leaked, doubled or stuck.

    with crash_sites.Standalone(directory) as site:
        points = record(site, "standalone")         # ["store.before_commit:1", ...], in order
        for at in points:
            outcome = kill_at(site, "standalone", at)

One life: ``further`` servers come and go, one gets a card that is made for it, cleaned and taken back, two are built
(claim, requests, bind), a card is pulled out and put back, one server is unbound and bound again, the host is moved
to nested providers and everything is deleted, and cleaned. Whatever the kill interrupts is not finished by force: the
process is started again, and what must hold has to hold within 30 seconds. Then all is given back, and all must be
free.
"""

import contextlib
import http.client
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cyborg import crash
from cyborg.conductor.reshaping import Reshaper
from cyborg.domain import errors
from cyborg.domain.inventory import AcceleratorState
from cyborg.domain.report import DeviceType
from cyborg.domain.shape import DEFAULT_SHAPE, Layout
from cyborg.placement.client import Refused
from cyborg.placement.mover import Mover
from cyborg.tests.functional import books, standalone
from cyborg.tests.functional.client import Client, Unexpected
from cyborg.tests.functional.crash_sites import HOST, MADE_TRAIT, UNITS, Site
from cyborg.tests.waiting import until

PROFILE, MADE = "any-gpu", "made"
PROFILES = {PROFILE: standalone.GPU_TRAIT, MADE: MADE_TRAIT}
PATIENCE = 30.0
FREE = AcceleratorState.FREE
OWNER = {"project_id": "p", "user_id": "u", "consumer_type": "INSTANCE", "consumer_generation": None}
#: What a client of a dying service sees, or somebody who works on its database.
INTERRUPTED = (OSError, http.client.HTTPException, Unexpected, errors.CyborgError, AssertionError)


@dataclass
class Promises:
    """What was answered, and so must outlive every crash."""

    bound: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``hit`` is where the process died, "" when it did not come there; ``problems`` is what did not hold in time.

    ``recovered_in`` is how many seconds it took after the start of what had died until all held.
    """

    hit: str
    recovered_in: float
    problems: tuple[str, ...] = ()


class Life:
    """Nova's part, and the operator's."""

    def __init__(self, site: Site, client: Client, promises: Promises) -> None:
        self._site = site
        self._client = client
        self._promises = promises

    def run(self, further: int) -> None:
        for _ in range(further):
            instance = self._build()
            self._rebind(instance)
            self._delete(instance)
        self._delete(self._build(MADE))
        first, second = self._build(), self._build()
        self._site.machine.pull_out()
        self._until_published()
        self._site.machine.put_back()
        self._until_published()
        self._rebind(first)
        Reshaper(self._site.store, Mover(self._site.placement), lambda _line: None, patience=5).run(HOST, Layout.NESTED)
        self._until_published()
        for instance in (first, second):
            self._delete(instance)
        self._until_published()

    def _build(self, profile: str = PROFILE) -> str:
        instance = str(uuid.uuid4())
        provider = self._claim(instance, PROFILES[profile])
        (request,) = self._client.create(profile)
        self._bind(request, instance, provider)
        return instance

    def _claim(self, instance: str, trait: str) -> str:
        query = f"resources=CUSTOM_ACCELERATOR:1&required={trait}"
        found: list[str] = []

        def offered() -> bool:
            self._raise_if_dead()
            with contextlib.suppress(Refused):  # a class or trait that nobody has shown yet
                answer = self._site.placement.get(f"/allocation_candidates?{query}")
                found.extend(provider for one in answer["allocation_requests"] for provider in one["allocations"])
            return bool(found)

        until("Placement offers a card", offered)
        body = {"allocations": {found[0]: {"resources": {"CUSTOM_ACCELERATOR": 1}}}, **OWNER}
        self._site.placement.put(f"/allocations/{instance}", body)
        return found[0]

    def _bind(self, request: str, instance: str, provider: str) -> None:
        self._client.bind(request, host=HOST, provider=provider, instance=instance).expect(202)
        self._promises.bound.add(request)

    def _rebind(self, instance: str) -> None:
        (request,) = self._client.of_instance(instance)
        self._promises.bound.discard(request["uuid"])
        paths = ("hostname", "device_rp_uuid", "instance_uuid")
        patch = [{"op": "remove", "path": f"/{name}"} for name in paths]
        self._client.call("PATCH", "/v2/accelerator_requests", {request["uuid"]: patch}).expect(202)
        self._until_a_gpu_is_free()
        self._bind(request["uuid"], instance, request["device_rp_uuid"])

    def _delete(self, instance: str) -> None:
        gone = {one["uuid"] for one in self._client.of_instance(instance)}
        self._promises.bound -= gone
        self._client.delete_for_instance(instance)
        self._promises.deleted |= gone
        self._site.placement.delete(f"/allocations/{instance}")

    def _until_published(self) -> None:
        def holds() -> bool:
            self._raise_if_dead()
            return not books.wrong_in_placement(self._site.placement, books.load(self._site.store, HOST))

        until("Placement equals the books", holds)

    def _until_a_gpu_is_free(self) -> None:
        """What was given back is cleaned first."""

        def is_free() -> bool:
            self._raise_if_dead()
            units = books.load(self._site.store, HOST).units()
            return any(device.state(unit) is FREE and device.type is DeviceType.GPU for device, _, unit in units)

        until("a GPU is free", is_free)

    def _raise_if_dead(self) -> None:
        if self._site.has_died:
            raise errors.Unavailable("The process died, as it was told to.")


def record(site: Site, kind: str, log: Path, further: int = 0) -> list[str]:
    """The points that processes of that kind come through in one life, each as NAME:NUMBER, in order."""
    outcome = kill_at(site, kind, "", log, further)
    assert not outcome.problems, outcome.problems
    hits: Counter[str] = Counter()
    points = []
    for name in log.read_text(encoding="utf-8").split():
        hits[name] += 1
        points.append(f"{name}:{hits[name]}")
    return points


def kill_at(site: Site, kind: str, at: str, log: Path, further: int = 0) -> Outcome:
    """One life with a death in it, or none for ""; afterwards all is free."""
    promises = Promises()
    with _explained(site):
        site.arm(kind, at, log)
        try:
            with site.client() as client:
                _make_profiles(client)
                Life(site, client, promises).run(further)
        except INTERRUPTED:
            if not site.has_died:
                raise
        started = time.monotonic()
        site.revive()
        problems = _wait_for(site, lambda: problems_of(site, promises))
        recovered_in = time.monotonic() - started
        problems += _give_everything_back(site)
        hit = next((line for line in log.read_text().splitlines() if line.startswith(crash.DEATH)), "")
        if at and not hit:
            site.disarm(kind)
    return Outcome(hit=hit.removeprefix(crash.DEATH), recovered_in=recovered_in, problems=tuple(problems))


def problems_of(site: Site, promises: Promises) -> list[str]:
    """What does not hold now; nothing is left out because something else is wrong."""
    wrong = books.problems(site.store, site.placement, [HOST])
    host = books.load(site.store, HOST)
    checks = {
        "a bind that was answered is lost": promises.bound <= books.bound(site.store),
        "a request that was deleted is back": not promises.deleted & books.requests(site.store),
        "a card is lost from the books": len(list(host.units())) == UNITS,
    }
    wrong += [what for what, holds in checks.items() if not holds]
    if host.moving_to is None:
        return wrong
    # The command that moves the host is run again, as its message says.
    Reshaper(site.store, Mover(site.placement), lambda _line: None, patience=0).run(HOST, host.moving_to.layout)
    return ["the host is being moved"]


def _give_everything_back(site: Site) -> list[str]:
    site.machine.put_back()

    def all_is_gone() -> list[str]:
        with site.client() as client:
            for one in client.list("accelerator_requests"):
                which = f"instance={one['instance_uuid']}" if one["instance_uuid"] else f"arqs={one['uuid']}"
                client.call("DELETE", f"/v2/accelerator_requests?{which}").expect(204)
            left = client.list("accelerator_requests")
        _drop_allocations(site)
        host = books.load(site.store, HOST)
        free = books.free(site.store, HOST)
        problems = ["requests are left"] if left else []
        problems += [] if free == UNITS else [f"{free} of {UNITS} cards are free"]
        problems += [] if host.shape == DEFAULT_SHAPE else ["the host has not gone back to its own layout"]
        return problems + problems_of(site, Promises())

    return _wait_for(site, all_is_gone)


def _drop_allocations(site: Site) -> None:
    """Of servers that nobody will build on."""
    for provider in site.placement.get("/resource_providers")["resource_providers"]:
        for consumer in site.placement.get(f"/resource_providers/{provider['uuid']}/allocations")["allocations"]:
            with contextlib.suppress(Refused):
                site.placement.delete(f"/allocations/{consumer}")


def _wait_for(site: Site, find: Callable[[], list[str]]) -> list[str]:
    """The problems that are left after PATIENCE; while a service comes back it may not answer."""
    last = ["nobody answered"]

    def none_left() -> bool:
        try:
            last[:] = find()
        except (OSError, http.client.HTTPException, Unexpected, errors.CyborgError) as exc:
            last[:] = [f"nobody answered: {exc!r}"]
            site.revive()  # it may have come to the point only now
        return not last

    with contextlib.suppress(AssertionError):
        until("nothing is wrong", none_left, patience=PATIENCE)
    return last


def _make_profiles(client: Client) -> None:
    known = {one["name"] for one in client.list("device_profiles")}
    for name in PROFILES.keys() - known:
        client.create_profile(name, PROFILES[name])


@contextlib.contextmanager
def _explained(site: Site) -> Iterator[None]:
    try:
        yield
    except BaseException:
        print(site.output())
        raise
