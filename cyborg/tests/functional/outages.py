# SPDX-License-Identifier: Apache-2.0
"""Take something away from a running fleet for a while, under traffic, and see what it costs and what is left of it.

    with Scene.of("mysql", directory) as scene:
        outcome = suffer(scene, "broker killed", length=60)
        outcome.wrong           # () when nobody got anything but good answers and 503, and in the end all books agree

While it is away servers are built and deleted, cards are pulled out and put back. Afterwards nobody is started again
but what was taken away.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cyborg.domain import errors
from cyborg.tests.functional import private_servers
from cyborg.tests.functional.fleet import BIND_TIMEOUT, Fleet, named
from cyborg.tests.functional.traffic import CARDS_OF_A_SERVER, NO_ANSWER, Traffic, give_back
from cyborg.tests.waiting import until

HOSTS = ("gpu-1", "gpu-2")
USERS_OF_A_HOST = 2
#: One that comes and goes, beside what the users need.
CARDS = USERS_OF_A_HOST * CARDS_OF_A_SERVER + 1
PROCESSES = [*named("api", 2), *named("conductor", 2), *(f"agent-{host}" for host in HOSTS)]
#: Seconds for which a caller may have to wait, at most: a time-out between our processes, and a slow machine.
LONGEST_CALL = BIND_TIMEOUT + 10.0
RECOVERY = 120.0
#: A card comes or goes so often.
FLAPPING = 1.5
#: Of ours, or of a thread that died. What libraries say of a connection that broke is theirs.
COMPLAINT = re.compile(r"^Traceback \(most recent call last\)|^.* (?:ERROR|CRITICAL) cyborg\..*$", re.MULTILINE)
SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A fleet, and the servers below it that are its own."""

    fleet: Fleet
    database: private_servers.Server
    broker: private_servers.Server

    @classmethod
    @contextlib.contextmanager
    def of(cls, database: str, directory: Path) -> Iterator[Self]:
        with ExitStack() as stack:
            below = {kind: stack.enter_context(private_servers.run(kind)) for kind in (database, "rabbitmq")}
            fleet = Fleet(
                directory,
                database=below[database].url,
                transport_url=below["rabbitmq"].url,
                cards=dict.fromkeys(HOSTS, CARDS),
            )
            with fleet:
                fleet.start(*PROCESSES)
                until("every host is known", lambda: fleet.is_known)
                yield cls(fleet=fleet, database=below[database], broker=below["rabbitmq"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    begin: Callable[[Scene], None]
    end: Callable[[Scene], None]
    #: Of whom every answer is good, as if nothing had happened.
    is_felt: bool = True


def _stop_agent(scene: Scene) -> None:
    scene.fleet[f"agent-{HOSTS[0]}"].kill()


OUTAGES: Mapping[str, Outage] = {
    "broker killed": Outage(begin=lambda scene: scene.broker.kill(), end=lambda scene: scene.broker.start()),
    "broker stopped": Outage(begin=lambda scene: scene.broker.stop(), end=lambda scene: scene.broker.start()),
    "database killed": Outage(begin=lambda scene: scene.database.kill(), end=lambda scene: scene.database.start()),
    "database stopped": Outage(begin=lambda scene: scene.database.stop(), end=lambda scene: scene.database.start()),
    "Placement": Outage(
        begin=lambda scene: scene.fleet.placement_server.down(),
        end=lambda scene: scene.fleet.placement_server.up(),
        is_felt=False,
    ),
    "Nova": Outage(begin=lambda scene: scene.fleet.nova.down(), end=lambda scene: scene.fleet.nova.up(), is_felt=False),
    "agent": Outage(begin=_stop_agent, end=lambda scene: scene.fleet.start(f"agent-{HOSTS[0]}"), is_felt=False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of the boots and calls that were under way while it lasted.

    ``lost`` is what was answered and is not so. ``recovered_in`` is from the end of the outage until everybody had a
    new server and all books agreed.
    """

    name: str
    length: float
    attempted: int
    answered: int
    refused: int
    longest_call: float
    recovered_in: float
    lost: tuple[str, ...]
    wrong: tuple[str, ...]


def suffer(scene: Scene, name: str, length: float) -> Outcome:
    """Returns when all is as before; the cards are free again."""
    outage, fleet = OUTAGES[name], scene.fleet
    said = {process: len(fleet[process].output) for process in PROCESSES}
    with Traffic(fleet, users=len(HOSTS) * USERS_OF_A_HOST) as traffic, _flapping(fleet):
        traffic.wait_for_boots()
        begun = time.monotonic()
        outage.begin(scene)
        time.sleep(length)
        outage.end(scene)
        ended = time.monotonic()
        traffic.wait_for_boots()
    wrong = _wait_until_well(fleet, traffic)
    recovered_in = time.monotonic() - ended
    lost = traffic.broken_promises()
    wrong += [line for process in PROCESSES if process in said for line in _complaints(fleet, process, said[process])]
    during = [call for call in traffic.calls if call.begun < ended and call.begun + call.seconds > begun]
    boots = [boot for boot in traffic.boots if boot.begun < ended and (boot.bound_at or ended) > begun]
    longest = max((call.seconds for call in during), default=0.0)
    bad = [call for call in during if not call.is_well]
    if longest > LONGEST_CALL:
        wrong.append(f"a caller had to wait for {longest:.0f} s")
    if bad and not outage.is_felt:
        wrong.append(f"{len(bad)} call(s) were not answered well: {bad[:3]}")
    if any(call.status == NO_ANSWER for call in bad):
        wrong.append("a connection broke")
    give_back(fleet)
    return Outcome(
        name=name,
        length=length,
        attempted=len(boots),
        answered=sum(boot.bound_at is not None and boot.bound_at < ended for boot in boots),
        refused=sum(boot.refusals > 0 for boot in boots),
        longest_call=longest,
        recovered_in=recovered_in,
        lost=tuple(lost),
        wrong=tuple(wrong),
    )


@contextlib.contextmanager
def _flapping(fleet: Fleet) -> Iterator[None]:
    """The loose card of each host comes and goes; in the end it is there."""
    enough = threading.Event()

    def flap() -> None:
        while not enough.is_set():
            for machine in fleet.machines.values():
                machine.pull_out()
            enough.wait(FLAPPING)
            for machine in fleet.machines.values():
                machine.put_back()
            enough.wait(FLAPPING)

    thread = threading.Thread(target=flap, name="cards", daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def _wait_until_well(fleet: Fleet, traffic: Traffic) -> list[str]:
    """What is wrong still after RECOVERY seconds."""
    last: list[str] = []

    def well() -> bool:
        try:
            last[:] = fleet.problems() + traffic.broken_promises()
        except errors.CyborgError as exc:
            last[:] = [exc.message]
        return not last

    with contextlib.suppress(AssertionError):
        until("nothing is wrong", well, patience=RECOVERY)
    return last


def _complaints(fleet: Fleet, process: str, since: int) -> list[str]:
    """Errors and traces in its log. A process that was started again has a log of its own."""
    output = fleet[process].output
    new = output[since:] if len(output) >= since else output
    return [f"{process}: {line[:500]}" for line in COMPLAINT.findall(new)[:SHOWN]]
