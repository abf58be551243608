# SPDX-License-Identifier: Apache-2.0
"""Requests: every change checks the state it leaves, and says how many it changed."""

import dataclasses
import datetime
import itertools

import pytest

from cyborg.domain import arq, errors
from cyborg.store import arqs, hosts, paging
from cyborg.store.columns import now
from cyborg.store.engine import Store
from cyborg.tests.databases import recorded
from cyborg.tests.unit.store import builders
from cyborg.tests.unit.store.builders import HOST, INSTANCE, PROVIDER, binding, requests

OTHER_INSTANCE = "33333333-3333-4333-8333-333333333333"


def read(store: Store, *wanted: arq.Arq) -> list[arq.Arq]:
    with store.reading() as tx:
        found = arqs.get(tx, [one.uuid for one in wanted])
    return [found[one.uuid] for one in wanted if one.uuid in found]


def hold_one(store: Store, holder: arq.Arq) -> None:
    host = builders.apply(store, builders.seen(builders.card(1)))
    unit = host.devices[0].deployables[0].accelerators[0]
    with store.transaction() as tx:
        hosts.save(tx, host, builders.hold(host, {unit.uuid: holder.uuid}))


def test_a_request_is_stored_as_it_is_with_its_group_in_order(store: Store) -> None:
    (made,) = requests(store)
    (found,) = read(store, made)
    assert found.created_at is not None
    assert datetime.datetime.fromisoformat(found.created_at).utcoffset() == datetime.timedelta(0)
    assert (found.updated_at, found.attach_handle) == (None, None)
    assert list(found.group.accel) == ["z", "a"]
    assert found.group == made.group


def test_requests_are_created_together_in_one_statement_and_no_uuid_twice(store: Store) -> None:
    with recorded(store) as statements:
        made = requests(store, 64)
    assert len(statements) == 1
    assert len(read(store, *made)) == 64
    with pytest.raises(errors.AlreadyExists), store.transaction() as tx:
        arqs.create(tx, made[:1])


def test_binding_writes_host_provider_and_instance_of_each(store: Store) -> None:
    one, two = requests(store, 2)
    with store.transaction() as tx, recorded(store) as statements:
        changed = arqs.bind(tx, [binding(one), binding(two, instance_uuid=OTHER_INSTANCE, hostname="other")])
    assert (changed, len(statements)) == (2, 1)
    first, second = read(store, one, two)
    assert (first.state, first.hostname, first.device_rp_uuid, first.instance_uuid) == (
        arq.State.BOUND,
        HOST,
        PROVIDER,
        INSTANCE,
    )
    assert (second.hostname, second.instance_uuid) == ("other", OTHER_INSTANCE)
    assert first.project_id == "project-a"
    assert first.updated_at is not None


def test_binding_may_give_the_request_to_a_project(store: Store) -> None:
    (one,) = requests(store)
    with store.transaction() as tx:
        given = dataclasses.replace(binding(one), project_id="project-b")
        arqs.bind(tx, [given], state=arq.State.BIND_STARTED)
    (found,) = read(store, one)
    assert (found.project_id, found.state) == ("project-b", arq.State.BIND_STARTED)


def test_binding_nothing_is_nothing(store: Store) -> None:
    with store.transaction() as tx, recorded(store) as statements:
        assert arqs.bind(tx, []) == 0
        arqs.create(tx, [])
    assert statements == []


@pytest.mark.parametrize("state", list(arq.State))
def test_only_a_request_in_a_bindable_state_is_bound(store: Store, state: arq.State) -> None:
    (one,) = requests(store, state=state)
    with store.transaction() as tx:
        assert arqs.bind(tx, [binding(one)]) == (state in arq.BINDABLE)
    assert (read(store, one)[0].hostname is None) == (state not in arq.BINDABLE)


@pytest.mark.parametrize(("state", "following"), list(itertools.product(arq.State, arq.State)))
def test_a_request_moves_only_along_the_table(engine_store: Store, state: arq.State, following: arq.State) -> None:
    (one,) = requests(engine_store, state=state)
    with engine_store.transaction() as tx:
        assert arqs.move(tx, [one.uuid], following, fault="why") == arq.may_follow(state, following)
    (found,) = read(engine_store, one)
    assert (found.state is following) == (arq.may_follow(state, following) or state is following)


def test_of_two_binders_of_one_request_one_wins(store: Store) -> None:
    (one,) = requests(store)

    def bind(hostname: str) -> int:
        with store.transaction() as tx:
            return arqs.bind(tx, [binding(one, hostname=hostname)])

    answers = builders.together([lambda: bind("left"), lambda: bind("right")])
    assert sorted(answers) == [0, 1]
    assert read(store, one)[0].hostname == ("left" if answers[0] else "right")


def test_of_two_binds_of_one_instance_one_wins(store: Store) -> None:
    one, two = requests(store, 2)

    def bind(request: arq.Arq) -> int:
        with store.transaction() as tx:
            arqs.hold_instance(tx, INSTANCE, HOST)
            return arqs.bind(tx, [binding(request)])

    answers = builders.together([lambda: store.retrying(bind, one), lambda: store.retrying(bind, two)])
    assert answers.count(1) == 1
    assert [type(answer) for answer in answers if answer != 1] == [errors.AlreadyBound]
    with store.reading() as tx:
        assert len(arqs.of_instance(tx, INSTANCE)) == 1


def test_an_instance_may_be_bound_again_when_its_last_request_left(store: Store) -> None:
    one, two = requests(store, 2)
    with store.transaction() as tx:
        arqs.hold_instance(tx, INSTANCE, HOST)
        arqs.bind(tx, [binding(one), binding(two)])
    with store.transaction() as tx:
        arqs.unbind(tx, [one.uuid])
        assert arqs.leave_instances(tx, [INSTANCE]) == 0
    with pytest.raises(errors.AlreadyBound, match=INSTANCE), store.transaction() as tx:
        arqs.hold_instance(tx, INSTANCE, HOST)
    with store.transaction() as tx:
        arqs.delete(tx, [two.uuid])
        assert arqs.leave_instances(tx, [INSTANCE, OTHER_INSTANCE]) == 1
        arqs.hold_instance(tx, INSTANCE, HOST)


def test_two_calls_that_each_take_one_of_the_last_two_requests_leave_the_instance_free(store: Store) -> None:
    one, two = requests(store, 2)
    with store.transaction() as tx:
        arqs.hold_instance(tx, INSTANCE, HOST)
        arqs.bind(tx, [binding(one), binding(two)])

    def leave(request: arq.Arq) -> int:
        with store.transaction() as tx:
            arqs.get(tx, [request.uuid], lock=True)
            arqs.unbind(tx, [request.uuid])
            return arqs.leave_instances(tx, [INSTANCE])

    assert sorted(builders.together([lambda: leave(one), lambda: leave(two)])) == [0, 1]


def test_unbinding_takes_the_binding_away(store: Store) -> None:
    (one,) = requests(store)
    with store.transaction() as tx:
        arqs.bind(tx, [binding(one)])
    with store.transaction() as tx:
        assert arqs.unbind(tx, [one.uuid, builders.new_uuid()]) == 1
    (found,) = read(store, one)
    assert (found.state, found.hostname, found.device_rp_uuid, found.instance_uuid) == (
        arq.State.UNBOUND,
        None,
        None,
        None,
    )


def test_a_request_that_holds_an_accelerator_is_neither_unbound_nor_deleted(store: Store) -> None:
    (one,) = requests(store)
    hold_one(store, one)
    with store.transaction() as tx:
        assert arqs.unbind(tx, [one.uuid]) == 0
        assert arqs.delete(tx, [one.uuid]) == 0
    (found,) = read(store, one)
    assert found.state is arq.State.INITIAL


def test_a_bound_request_shows_the_handle_of_what_it_holds(store: Store) -> None:
    (one,) = requests(store, state=arq.State.BOUND)
    hold_one(store, one)
    handle = read(store, one)[0].attach_handle
    assert handle is not None
    assert handle.info == {"domain": "0000", "bus": "01", "device": "00", "function": "0"}
    with store.transaction() as tx:
        assert arqs.get(tx, [one.uuid], lock=True)[one.uuid].attach_handle == handle


@pytest.mark.parametrize("state", sorted(set(arq.State) - {arq.State.BOUND}))
def test_what_is_not_bound_yet_shows_no_handle(engine_store: Store, state: arq.State) -> None:
    (one,) = requests(engine_store, state=state)
    hold_one(engine_store, one)
    assert read(engine_store, one)[0].attach_handle is None


def test_what_a_preparation_made_is_attached_in_the_place_of_what_reports_say(store: Store) -> None:
    (one,) = requests(store, state=arq.State.BOUND)
    hold_one(store, one)
    made: dict[str, str | None] = {"bus": "3b", "of": None}
    host = builders.stored(store)
    attached = host.map_accelerators(lambda unit: dataclasses.replace(unit, attached=made))
    with store.transaction() as tx:
        hosts.save(tx, host, attached)
    handle = read(store, one)[0].attach_handle
    assert handle is not None
    assert handle.info == made


def test_a_bind_that_began_is_undone_to_what_each_request_was(store: Store) -> None:
    first, second, bound = requests(store)[0], requests(store, state=arq.State.UNBOUND)[0], requests(store)[0]
    mine = [dataclasses.replace(binding(one), project_id="project-b") for one in (first, second)]
    with store.transaction() as tx:
        arqs.bind(tx, mine, state=arq.State.BIND_STARTED)
        arqs.bind(tx, [binding(bound)])
    with store.transaction() as tx:
        assert arqs.undo(tx, {one.uuid: arq.former(one) for one in (first, second, bound)}) == 2
        assert arqs.undo(tx, {}) == 0
    found = read(store, first, second, bound)
    assert [(one.state, one.project_id, one.hostname) for one in found] == [
        (arq.State.INITIAL, "project-a", None),
        (arq.State.UNBOUND, "project-a", None),
        (arq.State.BOUND, "project-a", HOST),
    ]


def test_what_holds_an_accelerator_is_not_undone(store: Store) -> None:
    (one,) = requests(store, state=arq.State.BIND_STARTED)
    hold_one(store, one)
    with store.transaction() as tx:
        assert arqs.undo(tx, {one.uuid: arq.former(builders.request())}) == 0


def test_who_waited_for_a_locked_request_sees_what_it_holds_by_now(store: Store) -> None:
    (one,) = requests(store, state=arq.State.BOUND)
    host = builders.apply(store, builders.seen(builders.card(1)))
    unit = host.devices[0].deployables[0].accelerators[0]

    def claim() -> arq.AttachHandle | None:
        with store.transaction() as tx:
            handle = arqs.get(tx, [one.uuid], lock=True)[one.uuid].attach_handle
            if handle is None:
                hosts.save(tx, host, builders.hold(host, {unit.uuid: one.uuid}))
            return handle

    answers = builders.together([claim, claim])
    assert [answer is None for answer in answers].count(True) == 1
    assert not [answer for answer in answers if isinstance(answer, Exception)]


def test_requests_of_an_instance_are_found_whosoever_they_are(store: Store) -> None:
    one, two = requests(store)[0], requests(store, project_id=None)[0]
    requests(store, 3)
    with store.transaction() as tx:
        arqs.bind(tx, [binding(one), binding(two)])
    with store.transaction() as tx:
        assert set(arqs.of_instance(tx, INSTANCE, lock=True)) == {one.uuid, two.uuid}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (arqs.Filter(), [0, 1, 2]),
        (arqs.Filter(project_id="project-b"), [1]),
        (arqs.Filter(states=[arq.State.BOUND, arq.State.BIND_FAILED]), [2]),
        (arqs.Filter(states=[]), []),
        (arqs.Filter(uuids=[]), []),
        (arqs.Filter(instance_uuid=INSTANCE), [2]),
        (arqs.Filter(instance_uuid=INSTANCE, project_id="project-b"), []),
    ],
)
def test_lists_are_filtered_and_in_the_order_of_creation(store: Store, wanted: arqs.Filter, found: list[int]) -> None:
    made = [
        *requests(store),
        *requests(store, project_id="project-b"),
        *requests(store, state=arq.State.BOUND, instance_uuid=INSTANCE),
    ]
    with store.reading() as tx:
        assert [one.uuid for one in arqs.page(tx, wanted)] == [made[index].uuid for index in found]


@pytest.mark.parametrize("stored", [10, 2000])
def test_a_list_or_a_look_is_one_statement_however_many_there_are(store: Store, stored: int) -> None:
    made = requests(store, stored)
    with store.reading() as tx, recorded(store) as statements:
        assert len(arqs.page(tx)) == stored
        assert len(arqs.page(tx, part=paging.Page(limit=5))) == 5
        assert len(arqs.get(tx, [one.uuid for one in made[:3]])) == 3
    assert len(statements) == 3


@pytest.mark.parametrize("stored", [10, 2000])
def test_a_bind_in_the_books_is_at_most_nine_statements(store: Store, stored: int) -> None:
    one = requests(store, stored)[0]
    builders.apply(store, builders.seen(*(builders.card(number, units=4) for number in range(stored // 10))))
    with store.transaction() as tx, recorded(store) as statements:
        arqs.get(tx, [one.uuid], lock=True)
        arqs.hold_instance(tx, INSTANCE, HOST)
        host = hosts.load(tx, HOST)
        assert host is not None
        unit = next(unit for _, _, unit in host.units())
        wanted = builders.hold(host, {unit.uuid: one.uuid})
        hosts.save(tx, host, builders.next_generation(wanted))
        arqs.bind(tx, [binding(one)])
    assert len(statements) == 9


def test_requests_that_nobody_waits_for_expire_and_bound_ones_do_not(store: Store) -> None:
    kept = {arq.State.BOUND, arq.State.BIND_STARTED, arq.State.BIND_FAILED, arq.State.UNBIND_FAILED}
    with store.transaction() as tx:
        arqs.create(tx, [builders.request(state=state) for state in arq.State if state is not arq.State.DELETING])
        assert arqs.expire(tx, now() - datetime.timedelta(minutes=1), 10) == 0
        assert arqs.expire(tx, now() + datetime.timedelta(minutes=1), 1) == 1
        assert arqs.expire(tx, now() + datetime.timedelta(minutes=1), 10) == 1
        assert {one.state for one in arqs.page(tx)} == kept
