# SPDX-License-Identifier: Apache-2.0
"""Binds whose units are prepared by their host first, and every way in which that may end."""

import datetime
import threading
import uuid
from typing import Any

import pytest

from cyborg.domain import arq, errors
from cyborg.store import operations
from cyborg.tests.unit.conductor.house import NOVA, Client, House, Make
from cyborg.tests.waiting import until

CAN = {"prepares", "cleans"}
ANSWERED = {"bind_wait": 0, "bind_failure_delay": 0}


def ready(house: House, *, plain: int = 0, to_make: int = 2) -> Client:
    client = house.conductor()
    house.host(client, can=CAN, plain=plain, to_make=to_make)
    return client


class Call(threading.Thread):
    """A bind under way, and how it ended."""

    def __init__(self, house: House, client: Client, uuids: list[str]) -> None:
        super().__init__(daemon=True)
        self.instance = str(uuid.uuid4())
        self.error: errors.CyborgError | None = None
        self._arguments: tuple[Any, ...] = (house, client, uuids)
        self.start()

    def run(self) -> None:
        house, client, uuids = self._arguments
        try:
            house.bind(client, uuids, instance=self.instance)
        except errors.CyborgError as exc:
            self.error = exc

    def end(self) -> errors.CyborgError | None:
        self.join(20)
        assert not self.is_alive()
        return self.error


def begun(house: House, client: Client, count: int = 1) -> tuple[Call, list[str]]:
    """A bind whose host has begun to prepare and does not go on."""
    uuids = house.request(count)
    house.agents.gate.clear()
    call = Call(house, client, uuids)
    assert house.agents.begun.acquire(timeout=20)
    return call, uuids


def test_a_bind_is_complete_when_it_is_answered_with_what_its_host_made(make: Make) -> None:
    house = make()
    uuids = house.request(2)
    instance = house.bind(ready(house), uuids)
    for one in house.get(*uuids):
        assert (one.state, one.instance_uuid, one.project_id) == (arq.State.BOUND, instance, "owner")
        assert one.attach_handle is not None
        assert one.attach_handle.info == house.agents.made
    assert house.units() == ["held", "held"]
    house.until_done()
    assert house.events() == dict.fromkeys(uuids, True)
    assert house.nova.calls == 1


def test_until_then_it_is_started_shows_no_handle_and_its_units_are_reserved(make: Make) -> None:
    house = make()
    call, uuids = begun(house, ready(house, plain=1, to_make=2), count=2)
    assert {(one.state, one.attach_handle) for one in house.get(*uuids)} == {(arq.State.BIND_STARTED, None)}
    assert sorted(house.units()) == ["free", "reserved", "reserved"]
    (work,) = house.operations()
    assert (work.kind, work.hostname, work.subject) == ("prepare", "host-1", call.instance)
    house.agents.gate.set()
    assert call.end() is None
    assert house.states(*uuids) == [arq.State.BOUND] * 2


def test_a_host_is_told_what_others_hold_and_what_the_request_asks(make: Make) -> None:
    house = make()
    client = ready(house, plain=1, to_make=1)
    house.bind(client, house.request(2))
    asked = next(one for one in house.agents.asked if one.unit.key == "vf1")
    assert asked.unit.held == {"0000:3b:00.1"}


def test_a_preparation_that_fails_is_refused_with_the_reason_and_leaves_all_as_it_was(make: Make) -> None:
    house = make()
    client, uuids = ready(house), [*house.request(), *house.request(state=arq.State.UNBOUND)]
    before = house.get(*uuids)
    house.agents.trouble["prepare"] = [errors.Conflict("the card is of another kind now")]
    instance = str(uuid.uuid4())
    with pytest.raises(errors.Conflict, match="the card is of another kind now"):
        house.bind(client, uuids, project="another", instance=instance)
    now = house.get(*uuids)
    assert [(one.state, one.project_id, one.hostname, one.fault, one.instance_uuid) for one in now] == [
        (one.state, "owner", None, None, None) for one in before
    ]
    house.until_done()
    assert house.units() == ["free", "free"]
    assert (house.events(), house.operations()) == ({}, [])
    house.bind(client, uuids, instance=instance)
    assert house.states(*uuids) == [arq.State.BOUND] * 2


def test_what_is_in_use_is_asked_again_and_believed_the_third_time(make: Make) -> None:
    house = make()
    client = ready(house)
    house.agents.trouble["prepare"] = [errors.InUse("held")] * 3
    with pytest.raises(errors.Conflict, match="held"):
        house.bind(client, house.request())
    assert house.agents.trouble["prepare"] == []


def test_a_host_that_does_not_answer_is_asked_again_and_nova_hears_of_it_then(make: Make) -> None:
    house = make(bind_wait=0)
    client, uuids = ready(house), house.request()
    house.agents.trouble["prepare"] = [errors.Unavailable("no answer")]
    house.bind(client, uuids)
    assert house.states(*uuids) == [arq.State.BIND_STARTED]
    until("it is bound", lambda: house.states(*uuids) == [arq.State.BOUND])
    house.until_done()
    assert house.events() == {uuids[0]: True}


def test_a_bind_that_fails_after_its_answer_says_why_and_nova_hears_of_it_as_promptly(make: Make) -> None:
    """Nova hears of a failure, and the card is not held."""
    house = make(**ANSWERED)
    client, uuids = ready(house), house.request(2)
    house.agents.trouble["prepare"] = [errors.NotFound("no card there")] * 9
    house.bind(client, uuids)
    until("it has failed", lambda: house.states(*uuids) == [arq.State.BIND_FAILED] * 2)
    house.until_done()
    assert {one.fault for one in house.get(*uuids)} == {house.operations()[0].last_error}
    assert "no card there" in str(house.get(*uuids)[0].fault)
    assert house.events() == dict.fromkeys(uuids, False)
    assert house.units() == ["free", "free"]
    (given_up,) = house.operations()
    assert (given_up.kind, given_up.ended_at is not None) == ("prepare", True)
    client.unbind(NOVA, uuids)
    house.agents.trouble.clear()
    house.bind(client, uuids)
    until("it is bound", lambda: house.states(*uuids) == [arq.State.BOUND] * 2)


def test_a_failure_is_not_shown_before_nova_has_looked(make: Make) -> None:
    """A request that has failed when Nova looks first is taken for a good one: the server starts without its card."""
    house = make(bind_wait=0, bind_failure_delay=60)
    client, uuids = ready(house), house.request()
    house.agents.trouble["prepare"] = [errors.DriverError("EIO")]
    house.bind(client, uuids)
    until("it is to be tried again", lambda: house.operations()[0].attempts == 1)
    assert house.states(*uuids) == [arq.State.BIND_STARTED]
    until("it went well the second time", lambda: house.states(*uuids) == [arq.State.BOUND])


def test_a_request_does_not_stay_started_for_ever_when_its_host_never_answers(make: Make) -> None:
    house = make(**ANSWERED, prepare_deadline=1)
    client, uuids = ready(house), house.request()
    house.agents.trouble["prepare"] = [errors.Unavailable("no answer")] * 99
    house.bind(client, uuids)
    until("it has failed", lambda: house.states(*uuids) == [arq.State.BIND_FAILED])
    house.until_done()
    assert house.events() == {uuids[0]: False}


@pytest.mark.parametrize("how", ["unbind", "delete_arqs", "delete_for_instance"])
def test_a_delete_during_a_bind_leaks_nothing_and_does_not_wait_for_the_host(make: Make, how: str) -> None:
    house = make()
    client = ready(house)
    call, uuids = begun(house, client)
    (prepare,) = house.operations()
    argument: Any = call.instance if how == "delete_for_instance" else uuids
    getattr(client, how)(NOVA, argument)
    assert sorted(house.units()) == ["cleaning", "free"]
    house.agents.gate.set()
    assert isinstance(call.end(), errors.Conflict)
    house.until_done()
    assert house.units() == ["free", "free"]
    until("the host has answered", lambda: len(house.agents.asked) == 3)
    assert {(one.step, one.ends) for one in house.agents.asked} == {
        ("prepare", None),
        ("clean", prepare.uuid),
        ("release", prepare.uuid),
    }
    assert house.events() == {}
    if how == "unbind":
        assert house.states(*uuids) == [arq.State.UNBOUND]


def test_one_request_of_several_may_go_and_the_others_are_bound(make: Make) -> None:
    house = make()
    client = ready(house, to_make=3)
    call, uuids = begun(house, client, count=2)
    client.delete_arqs(NOVA, uuids[:1])
    house.agents.gate.set()
    assert isinstance(call.end(), errors.Conflict)
    house.until_done()
    assert house.states(uuids[1]) == [arq.State.BOUND]
    assert sorted(house.units()) == ["free", "free", "held"]
    assert house.events() == {uuids[1]: True}


def test_what_a_host_refuses_of_a_request_that_went_is_no_failure_of_the_others(make: Make) -> None:
    house = make()
    client = ready(house, to_make=3)
    call, uuids = begun(house, client, count=2)
    client.delete_arqs(NOVA, uuids[:1])
    house.agents.trouble["prepare"] = [errors.Conflict("this operation was ended for that unit")]
    house.agents.gate.set()
    call.end()
    house.until_done()
    assert house.states(uuids[1]) == [arq.State.BOUND]
    assert sorted(house.units()) == ["free", "free", "held"]


def test_a_bind_that_began_may_be_asked_for_again(make: Make) -> None:
    house = make()
    client = ready(house)
    call, uuids = begun(house, client)
    house.bind(client, uuids, instance=call.instance)
    with pytest.raises(errors.WrongState):
        house.bind(client, uuids)
    house.agents.gate.set()
    assert call.end() is None
    assert house.agents.steps() == ["prepare"]


def test_a_bind_of_a_conductor_that_died_is_taken_up_by_another(make: Make) -> None:
    """A request does not stay in BindStarted because its conductor crashed."""
    house = make(bind_wait=0)
    client = house.conductor(works=False)
    house.host(client, can=CAN, to_make=1)
    uuids = house.request()
    house.bind(client, uuids)
    house.conductor()
    assert house.states(*uuids) == [arq.State.BIND_STARTED]
    house.change_operations(lease_until=operations.now() - datetime.timedelta(seconds=1))
    until("it is bound", lambda: house.states(*uuids) == [arq.State.BOUND])
    house.until_done()
    assert house.events() == {uuids[0]: True}


def test_a_conductor_that_lost_its_lease_in_the_middle_changes_nothing(make: Make) -> None:
    house = make()
    call, uuids = begun(house, ready(house))
    house.change_operations(owner="another")
    house.agents.gate.set()
    call.join(0.1)
    house.change_operations(owner=None, lease_until=None)
    assert call.end() is None
    until("it is bound", lambda: house.states(*uuids) == [arq.State.BOUND])
    house.until_done()
    assert house.events() == {uuids[0]: True}
    assert house.nova.calls == 1


def test_of_two_conductors_that_finish_one_preparation_one_is_believed(make: Make) -> None:
    house = make(operation_interval=3600)
    call, uuids = begun(house, ready(house))
    house.change_operations(owner=None, lease_until=None)
    house.conductor()
    assert house.agents.begun.acquire(timeout=20), "the second one asks the host too"
    house.agents.gate.set()
    assert call.end() is None
    until("it is bound", lambda: house.states(*uuids) == [arq.State.BOUND])
    house.until_done()
    assert house.nova.calls == 1


def test_a_lease_is_held_for_as_long_as_its_host_takes(make: Make) -> None:
    house = make(operation_lease=5)
    call, _ = begun(house, ready(house))
    lease = house.operations()[0].lease_until
    until("the lease is renewed", lambda: house.operations()[0].lease_until > lease)
    house.agents.gate.set()
    assert call.end() is None


def test_callers_are_let_go_when_their_conductor_stops_and_another_goes_on(make: Make) -> None:
    house = make()
    client = ready(house)
    call, uuids = begun(house, client)
    client.conductor.stop_waiting()
    assert call.end() is None
    assert house.states(*uuids) == [arq.State.BIND_STARTED]
    house.agents.gate.set()
    until("it is bound", lambda: house.states(*uuids) == [arq.State.BOUND])


def test_callers_that_wait_leave_threads_for_the_others(make: Make) -> None:
    house = make()
    house.conf.set_override("thread_pool_size", 2)
    client = ready(house, to_make=3)
    call, _ = begun(house, client)
    house.bind(client, house.request())
    assert call.is_alive(), "the second one was answered without waiting"
    house.agents.gate.set()
    assert call.end() is None
