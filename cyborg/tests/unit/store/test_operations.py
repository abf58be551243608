# SPDX-License-Identifier: Apache-2.0
"""Durable work is done by one owner at a time, and is never lost."""

import datetime

import pytest
from sqlalchemy import select

from cyborg.store import models, operations
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


def test_a_lease_is_held_for_longer_by_its_owner_alone(store: Store) -> None:
    mine, theirs = add(store, 2)
    take(store, "me", limit=1)
    take(store, "other", limit=1)
    with store.transaction() as tx:
        until = operations.now() + LEASE * 5
        assert operations.renew(tx, [mine.uuid, theirs.uuid], owner="me", lease_until=until) == 1
    assert [one.uuid for one in take(store, "third", after=LEASE * 2)] == [theirs.uuid]


def test_what_was_not_begun_is_anybodys_at_once(store: Store) -> None:
    mine, _ = add(store, 2)
    take(store, "me")
    with store.transaction() as tx:
        assert operations.let_go(tx, [mine.uuid], owner="other") == 0
        assert operations.let_go(tx, [mine.uuid], owner="me") == 1
        assert operations.let_go(tx, [], owner="me") == 0
    assert [one.uuid for one in take(store, "other")] == [mine.uuid]


def test_what_was_given_up_is_kept_and_never_due_again(store: Store) -> None:
    (one,) = add(store, deadline=operations.now() - LEASE)
    take(store)
    with store.transaction() as tx:
        assert not operations.give_up(tx, one, owner="other", error="not mine")
        assert operations.give_up(tx, one, owner="me", error="it never answered")
    assert take(store, after=LEASE * 100) == []
    with store.reading() as tx:
        kept = tx.execute(select(models.Operation)).one()
        assert operations.late(tx, operations.now()) == []
    assert (kept.last_error, kept.attempts, kept.owner) == ("it never answered", 1, None)
    assert kept.ended_at is not None


def test_what_was_given_up_goes_after_a_while_and_nothing_else_does(store: Store) -> None:
    work = add(store, 4)
    take(store)
    with store.transaction() as tx:
        for one in work[:3]:
            operations.give_up(tx, one, owner="me", error="why")
    with store.transaction() as tx:
        assert operations.purge(tx, operations.now() - LEASE, 10) == 0
        assert operations.purge(tx, operations.now() + LEASE, 2) == 2
        assert operations.purge(tx, operations.now() + LEASE, 2) == 1
    with store.reading() as tx:
        assert tx.execute(select(models.Operation.uuid)).scalars().all() == [work[3].uuid]


def test_a_host_that_is_back_is_asked_at_once(store: Store) -> None:
    add(store, hostname="back", next_at=operations.now() + LEASE)
    add(store, hostname="away", next_at=operations.now() + LEASE)
    add(store, hostname="back", owner="me", lease_until=operations.now() + LEASE)
    with store.transaction() as tx:
        assert operations.hasten(tx, "back") == 1
    assert [(one.hostname, one.owner) for one in take(store, "other")] == [("back", "other")]


def test_only_kinds_that_are_known_are_taken_and_what_they_are_about_stays(store: Store) -> None:
    add(store, hostname="host-1", subject=builders.INSTANCE)
    moment = operations.now()
    with store.transaction() as tx:
        assert not operations.take_due(tx, owner="old", lease_until=moment + LEASE, kinds=["another"])
        (one,) = operations.take_due(tx, owner="new", lease_until=moment + LEASE, kinds=["event", "another"])
    assert (one.hostname, one.subject) == ("host-1", builders.INSTANCE)


def test_work_that_failed_may_have_learnt_something(store: Store) -> None:
    (one,) = add(store)
    take(store)
    with store.transaction() as tx:
        operations.postpone(tx, one, owner="me", error="no", next_at=operations.now(), payload={"refusals": 1})
    (again,) = take(store)
    assert again.payload == {"refusals": 1}


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
