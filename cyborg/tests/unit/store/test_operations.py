# SPDX-License-Identifier: Apache-2.0
"""Durable work is done by one owner at a time, and is never lost."""

import datetime

import pytest

from cyborg.store import operations
from cyborg.store.engine import Store
from cyborg.tests.databases import recorded
from cyborg.tests.unit.store import builders

LEASE = datetime.timedelta(seconds=30)


def add(store: Store, count: int = 1, **members: object) -> list[operations.Operation]:
    work = [operations.new(kind="event", payload={"number": number}, **members) for number in range(count)]  # type: ignore[arg-type]
    with store.transaction() as tx:
        operations.add(tx, work)
    return work


def take(
    store: Store, owner: str = "me", *, limit: int = 50, after: datetime.timedelta = datetime.timedelta()
) -> list[operations.Operation]:
    moment = operations.now() + after
    with store.transaction() as tx:
        return operations.take_due(tx, owner=owner, lease_until=moment + LEASE, limit=limit, moment=moment)


def test_what_was_added_is_taken_in_order_as_it_was(store: Store) -> None:
    deadline = operations.now() + LEASE
    work = add(store, 3, deadline=deadline)
    taken = take(store)
    assert [(one.uuid, one.kind, one.payload, one.deadline, one.attempts) for one in taken] == [
        (one.uuid, "event", {"number": number}, deadline, 0) for number, one in enumerate(work)
    ]
    assert {one.owner for one in taken} == {"me"}


def test_adding_and_taking_any_number_are_a_statement_and_two(store: Store) -> None:
    with recorded(store) as adding:
        add(store, 40)
    with recorded(store) as taking:
        assert len(take(store, limit=30)) == 30
    assert (len(adding), len(taking)) == (1, 2)


def test_taken_work_is_not_taken_again_until_the_lease_ends(store: Store) -> None:
    add(store)
    assert len(take(store)) == 1
    assert take(store, "other") == []
    (again,) = take(store, "other", after=LEASE * 2)
    assert again.owner == "other"


def test_work_added_with_an_owner_is_that_owners(store: Store) -> None:
    add(store, owner="me", lease_until=operations.now() + LEASE)
    assert take(store, "other") == []
    assert len(take(store, "other", after=LEASE * 2)) == 1


def test_work_is_not_taken_before_its_time(store: Store) -> None:
    add(store, next_at=operations.now() + LEASE)
    assert take(store) == []
    assert len(take(store, after=LEASE * 2)) == 1


def test_finished_work_is_gone(store: Store) -> None:
    (one,) = add(store)
    take(store)
    with store.transaction() as tx:
        assert operations.finish(tx, one, owner="me")
        assert not operations.finish(tx, one, owner="me")
    assert take(store, after=LEASE * 2) == []


def test_work_that_failed_comes_back_with_its_error_and_count(store: Store) -> None:
    (one,) = add(store)
    take(store)
    with store.transaction() as tx:
        assert operations.postpone(tx, one, owner="me", error="no answer", next_at=operations.now() + LEASE)
    assert take(store, "other") == []
    (again,) = take(store, "other", after=LEASE * 2)
    assert (again.attempts, again.last_error, again.owner) == (1, "no answer", "other")


def test_an_owner_that_lost_its_lease_can_neither_finish_nor_postpone(store: Store) -> None:
    (one,) = add(store)
    take(store, "slow")
    take(store, "quick", after=LEASE * 2)
    with store.transaction() as tx:
        assert not operations.finish(tx, one, owner="slow")
        assert not operations.postpone(tx, one, owner="slow", error="late", next_at=operations.now())
        assert operations.finish(tx, one, owner="quick")


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_owners_that_take_at_once_never_share_work(store: Store, limit: int) -> None:
    work = add(store, 40)

    def drain(owner: str) -> list[str]:
        mine: list[str] = []
        while taken := store.retrying(take, store, owner, limit=limit):
            mine.extend(one.uuid for one in taken)
        return mine

    answers = builders.together([lambda: drain("left"), lambda: drain("right"), lambda: drain("third")])
    taken = [uuid for answer in answers for uuid in answer]
    assert sorted(taken) == sorted(one.uuid for one in work)


def test_a_turn_has_one_owner_at_a_time_and_keeps_what_it_was_given(store: Store) -> None:
    moment = operations.now()

    def turn(owner: str, at: datetime.datetime) -> operations.Operation | None:
        with store.transaction() as tx:
            return operations.take_turn(tx, "tested", owner=owner, lease_until=at + LEASE, moment=at)

    mine = turn("me", moment)
    assert mine is not None
    assert turn("other", moment) is None
    with store.transaction() as tx:
        assert operations.keep_turn(tx, mine, owner="me", lease_until=moment + LEASE * 2)
        assert operations.end_turn(tx, mine, owner="me", next_at=moment + LEASE * 3, payload={"number": 1})
    assert turn("other", moment + LEASE * 2) is None
    theirs = turn("other", moment + LEASE * 4)
    assert theirs is not None
    assert (theirs.payload, theirs.owner) == ({"number": 1}, "other")
    with store.transaction() as tx:
        assert not operations.end_turn(tx, mine, owner="me", next_at=moment, payload={})
    assert take(store, after=LEASE * 9) == [], "a turn is no operation"


def test_late_operations_are_those_past_their_deadline(store: Store) -> None:
    (late,) = add(store, deadline=operations.now() - LEASE)
    add(store, deadline=operations.now() + LEASE)
    add(store)
    with store.reading() as tx:
        assert [one.uuid for one in operations.late(tx, operations.now())] == [late.uuid]
