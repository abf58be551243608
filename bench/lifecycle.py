# SPDX-License-Identifier: Apache-2.0
"""The life of accelerator requests, measured: create, bind, read, read by instance, delete by instance.

Against a service that it starts itself, in this process, over simulated hosts, with a real Placement. Then it says
also what each step costs in SQL statements and Placement requests. They are counted one step at a time, when all that
follows from the step is done, on a host with one card: with the last one taken, Placement has to be told.

    python -m bench.lifecycle --cycles 500 --clients 4
    python -m bench.lifecycle --stored 10000

Against any other service that speaks v2 (the profile must be there, and find something free on the host):

    python -m bench.lifecycle --url http://controller:6666 --token $TOKEN --service-token $SERVICE_TOKEN \\
        --host compute-1 --provider 5dd0b2d8-4e5e-4c1e-8e2c-1d2f6d0e8a11 --profile any-gpu --cycles 500

Requests per second are those that so many clients could make of that one step. In one process, clients and service
share one Python interpreter, so a service of its own is faster than the figures say.
"""

import argparse
import http.client
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import figures
from cyborg.domain import arq, profile
from cyborg.store import arqs
from cyborg.tests.functional import standalone
from cyborg.tests.functional.client import ADMIN, SERVICE, Client, Unexpected

STEPS = ("create", "bind", "read one", "read by instance", "delete by instance")
HOSTS = 2
LAST = "gpu-last"
PROFILE = "any-gpu"
COUNTED_CYCLES = 5
QUIET = 0.1
BATCH = 1000

Timed = Callable[[str, Callable[[], object]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to bind: a host, its resource provider, and a profile that finds something there."""

    host: str
    provider: str
    profile: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A service. ``running`` is None when it is somebody else's; else ``last_card`` is the place for counting."""

    url: str
    token: str
    service_token: str
    places: Sequence[Place]
    running: standalone.Running | None = None
    last_card: Place | None = None

    def client(self) -> Client:
        return Client(self.url, token=self.token, service_token=self.service_token)


def cycle(client: Client, place: Place, timed: Timed) -> None:
    """One request's life; raises Unexpected when the service refuses a step."""
    made: list[str] = []
    instance = str(uuid.uuid4())
    timed("create", lambda: made.extend(client.create(place.profile)))
    timed(
        "bind",
        lambda: client.bind(made[0], host=place.host, provider=place.provider, instance=instance).expect(202),
    )
    timed("read one", lambda: client.show(made[0]))
    timed("read by instance", lambda: client.of_instance(instance))
    timed("delete by instance", lambda: client.delete_for_instance(instance))


def measure(target: Target, *, cycles: int, clients: int) -> tuple[dict[str, list[float]], float]:
    """The times of each step, and how long it took all clients together, in seconds."""
    times: dict[str, list[float]] = defaultdict(list)
    failures: list[Exception] = []

    def work(number: int) -> None:
        def timed(step: str, call: Callable[[], object]) -> None:
            started = time.perf_counter()
            call()
            times[step].append(time.perf_counter() - started)

        try:
            with target.client() as client:
                for _ in range(cycles // clients):
                    cycle(client, target.places[number % len(target.places)], timed)
        except (Unexpected, OSError, http.client.HTTPException) as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return times, time.perf_counter() - started


def count(target: Target, running: standalone.Running, place: Place) -> dict[str, tuple[float, float]]:
    """SQL statements and Placement requests of each step, on average."""
    totals = {step: [0, 0] for step in STEPS}

    def costs() -> tuple[int, int]:
        service = running.service
        return service.store.statements, sum(agent.placement.requests for agent in service.agents)

    def settled() -> tuple[int, int]:
        running.settle()
        before = None
        while (now := costs()) != before:
            before = now
            time.sleep(QUIET)
        return now

    def counted(step: str, call: Callable[[], object]) -> None:
        before = settled()
        call()
        for index, (was, now) in enumerate(zip(before, settled(), strict=True)):
            totals[step][index] += now - was

    with target.client() as client:
        for _ in range(COUNTED_CYCLES):
            cycle(client, place, counted)
    return {step: (sql / COUNTED_CYCLES, asked / COUNTED_CYCLES) for step, (sql, asked) in totals.items()}


def store_requests(running: standalone.Running, amount: int) -> None:
    """Requests of other projects, straight into the database."""
    group = profile.Group(resources={"CUSTOM_ACCELERATOR": 1}, traits={})
    for start in range(0, amount, BATCH):
        made = [
            arq.Arq(
                uuid=str(uuid.uuid4()),
                project_id=f"project-{number % 100}",
                state=arq.State.INITIAL,
                profile_name=PROFILE,
                group_id=0,
                group=group,
            )
            for number in range(start, min(start + BATCH, amount))
        ]
        with running.observer.transaction() as tx:
            arqs.create(tx, made)


@contextmanager
def own_service(cards: int) -> Iterator[Target]:
    """Two hosts with so many GPUs each, and one with a single one, in this process."""
    with tempfile.TemporaryDirectory(prefix="cyborg-bench-") as name:
        directory = Path(name)
        amounts = {f"gpu-{number}": cards for number in range(HOSTS)} | {LAST: 1}
        hosts = {
            host: standalone.gpu_host(directory / f"{host}.yaml", cards=amount) for host, amount in amounts.items()
        }
        with standalone.in_process(directory, hosts) as running:
            running.client.create_profile(PROFILE, standalone.GPU_TRAIT)
            places = {host: Place(host=host, provider=running.provider(host), profile=PROFILE) for host in hosts}
            last = places.pop(LAST)
            yield Target(
                url=running.service.url,
                token=ADMIN,
                service_token=SERVICE,
                places=list(places.values()),
                running=running,
                last_card=last,
            )


def show(target: Target, options: argparse.Namespace) -> None:
    if target.running and options.stored:
        store_requests(target.running, options.stored)
    costs = count(target, target.running, target.last_card) if target.running and target.last_card else {}
    times, seconds = measure(target, cycles=options.cycles, clients=options.clients)
    rows = [
        [
            step,
            options.clients * len(times[step]) / sum(times[step]),
            *(figures.percentile(times[step], share) for share in (0.5, 0.95, 0.99)),
            *costs.get(step, (None, None)),
        ]
        for step in STEPS
    ]
    columns = ["step", "requests/s", "p50 ms", "p95 ms", "p99 ms", "SQL statements", "Placement requests"]
    print(f"{options.clients} client(s), {options.stored} further requests stored")
    print(figures.table(columns, rows))
    print(f"{len(times['bind']) / seconds:.1f} whole lives per second")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.lifecycle", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", help="a running service; without it one is started here")
    parser.add_argument("--token", default=ADMIN, help="X-Auth-Token (default: %(default)s)")
    parser.add_argument("--service-token", default=SERVICE, help="X-Service-Token (default: %(default)s)")
    parser.add_argument("--host", help="with --url: where to bind")
    parser.add_argument("--provider", help="with --url: uuid of the host's resource provider")
    parser.add_argument("--profile", help="with --url: name of a device profile")
    parser.add_argument("--cycles", type=int, default=50, help="lives to measure (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=1, help="that work at once (default: %(default)s)")
    parser.add_argument("--stored", type=int, default=0, help="without --url: further requests to store before")
    options = parser.parse_args(argv)
    if options.url and not (options.host and options.provider and options.profile):
        parser.error("--url needs --host, --provider and --profile")
    if options.url and options.stored:
        parser.error("--stored needs a database of our own: leave out --url")
    if not 1 <= options.clients <= options.cycles:
        parser.error("--clients must be at least 1, and --cycles at least as many")
    return options


def main(argv: Sequence[str]) -> int:
    options = parse(argv)
    try:
        if options.url:
            place = Place(host=options.host, provider=options.provider, profile=options.profile)
            show(
                Target(url=options.url, token=options.token, service_token=options.service_token, places=[place]),
                options,
            )
        else:
            with own_service(cards=max(8, options.clients)) as target:
                show(target, options)
    except (Unexpected, OSError, http.client.HTTPException) as exc:
        print(f"bench.lifecycle: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
