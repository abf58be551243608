# SPDX-License-Identifier: Apache-2.0
"""Threads for operations: nobody is held back by others, nothing is done twice, and nothing is lost at a stop."""

import datetime
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cyborg.conductor.lanes import HOST_WIDTH, Lanes
from cyborg.conductor.operations import Again, Operations, Task
from cyborg.conductor.waiting import Waiting
from cyborg.domain import errors
from cyborg.store import operations
from cyborg.tests.unit.conductor.house import House
from cyborg.tests.waiting import until


def of(hostname: str | None, kind: str = "tested", **members: Any) -> operations.Operation:
    return operations.new(kind=kind, payload={}, hostname=hostname, **members)


def drain(lanes: Lanes, count: int) -> list[operations.Operation]:
    found = [lanes.get() for _ in range(count)]
    assert None not in found
    return [one for one in found if one is not None]


def test_a_host_gets_two_threads_at_most_and_the_others_get_theirs() -> None:
    lanes = Lanes(workers=8)
    for hostname in ["dead"] * 5 + ["alive"]:
        lanes.put(of(hostname))
    first = drain(lanes, HOST_WIDTH + 1)
    assert [one.hostname for one in first] == ["dead", "dead", "alive"]
    lanes.done(first[0])
    assert [one.hostname for one in drain(lanes, 1)] == ["dead"]


@pytest.mark.parametrize("workers", [2, 4])
def test_hosts_together_leave_a_thread_for_telling_nova_which_is_done_in_order(workers: int) -> None:
    lanes = Lanes(workers)
    for number in range(workers):
        lanes.put(of(f"host-{number}"))
    events = [of(None), of(None)]
    for one in events:
        lanes.put(one)
    begun = drain(lanes, workers)
    assert [one.hostname for one in begun].count(None) == 1
    lanes.done(events[0])
    assert drain(lanes, 1) == [events[1]]


def test_one_thread_does_everything() -> None:
    lanes = Lanes(workers=1)
    lanes.put(of("host-1"))
    lanes.put(of(None))
    assert len(drain(lanes, 2)) == 2


def test_closed_lanes_give_nothing_more_and_say_what_is_left() -> None:
    lanes, one = Lanes(workers=1), of(None)
    waiting = threading.Thread(target=lanes.get)
    waiting.start()
    lanes.put(one)
    waiting.join(10)
    lanes.put(one)
    assert lanes.close() == [one]
    assert lanes.get() is None


def test_a_caller_that_is_claimed_waits_for_its_answer_and_one_that_left_is_not() -> None:
    waiting = Waiting(most=2)
    waiting.begin(["a"])
    caller = waiting.claim("a")
    assert caller is not None
    threading.Timer(0.1, caller.answer, [errors.Conflict("no")]).start()
    with pytest.raises(errors.Conflict, match="no"):
        waiting.outcome(["a"], patience=0)
    assert waiting.claim("a") is None
    waiting.begin(["b"])
    waiting.outcome(["b"], patience=0)
    assert waiting.claim("b") is None
    waiting.end("b")


def test_no_more_callers_wait_than_may() -> None:
    waiting = Waiting(most=1)
    waiting.begin(["a"])
    waiting.begin(["b"])
    assert waiting.claim("b") is None
    waiting.close()
    waiting.begin(["c"])
    assert waiting.claim("c") is None
    waiting.outcome(["a"], patience=20)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path, operation_interval=3600) as made:
        yield made


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def add(house: House, *work: operations.Operation) -> None:
    with house.store.transaction() as tx:
        operations.add(tx, work)


def test_what_another_left_behind_is_taken_at_the_start(house: House, stack: ExitStack) -> None:
    add(house, of("host-1"), of("host-1", kind="of a newer release"))
    done: list[Task] = []
    pool = Operations(house.conf, house.store)

    def finish(task: Task) -> None:
        with house.store.transaction() as tx:
            task.finish(tx)
        done.append(task)

    pool.handle("tested", finish)
    pool.start()
    stack.callback(pool.stop)
    until("it is done", lambda: len(done) == 1)
    assert [one.kind for one in house.operations()] == ["of a newer release"]


def test_what_fails_in_a_way_that_nobody_thought_of_stays_to_be_done(house: House, stack: ExitStack) -> None:
    add(house, of("host-1"))
    outcomes: list[Exception | None] = [KeyError("a bug"), Again("not yet", {"learnt": 1}), None]
    pool = Operations(house.conf, house.store)

    def work(task: Task) -> None:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome
        assert task.operation.payload == {"learnt": 1}
        with house.store.transaction() as tx:
            task.finish(tx)

    pool.handle("tested", work)
    pool.start()
    stack.callback(pool.stop)
    until("it is done", lambda: not house.operations())


def test_a_stop_gives_back_at_once_what_it_has_not_begun(house: House) -> None:
    house.conf.set_override("operation_workers", 1, "conductor")
    gate, begun = threading.Event(), threading.Event()
    pool = Operations(house.conf, house.store)

    def work(task: Task) -> None:
        begun.set()
        gate.wait(20)
        with house.store.transaction() as tx:
            task.finish(tx)

    pool.handle("tested", work)
    mine = [pool.own(of("host-1")), pool.own(of("host-1"))]
    add(house, *mine)
    pool.start()
    pool.wake(mine)
    assert begun.wait(20)
    threading.Timer(0.1, gate.set).start()
    pool.stop()
    (left,) = house.operations()
    assert (left.owner, left.lease_until, left.attempts) == (None, None, 0)


def test_the_lease_of_work_in_hand_is_renewed_also_while_it_waits(house: House) -> None:
    pool = Operations(house.conf, house.store)
    mine = pool.own(of("host-1"))
    add(house, mine)
    pool.wake([mine])
    with house.store.transaction() as tx:
        operations.renew(
            tx, [mine.uuid], owner=str(mine.owner), lease_until=operations.now() + datetime.timedelta(seconds=1)
        )
    before = house.operations()[0].lease_until
    pool.renew()
    assert house.operations()[0].lease_until > before
