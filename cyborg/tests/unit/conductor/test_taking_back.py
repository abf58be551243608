# SPDX-License-Identifier: Apache-2.0
"""What was given back is made safe before anybody else gets it, however long its host is away."""

import threading

import pytest
from sqlalchemy import update

from cyborg.conductor import expiry
from cyborg.conductor.recurring import Turn
from cyborg.domain import errors, inventory
from cyborg.store import models, operations
from cyborg.tests.unit.conductor.house import HOST, NOVA, PROVIDER, Client, House, Make
from cyborg.tests.waiting import until

TURN = Turn({}, lambda: True, threading.Event())
GIVE_UP = errors.DriverError("it cannot be reset")


def bound(house: House, *, can: frozenset[str] = frozenset({"cleans"}), plain: int = 1) -> tuple[Client, list[str]]:
    """Every unit of a host is held."""
    client = house.conductor()
    house.host(client, can=can, plain=plain)
    uuids = house.request(plain)
    house.bind(client, uuids)
    house.until_done()
    return client, uuids


def test_data_of_the_last_tenant_is_never_on_a_device_that_is_given_out(make: Make) -> None:
    house = make()
    client, uuids = bound(house)
    house.agents.gate.clear()
    client.unbind(NOVA, uuids)
    assert house.units() == ["cleaning"]
    with pytest.raises(errors.NoAccelerator, match="1 cleaning"):
        house.bind(client, house.request())
    house.agents.gate.set()
    house.until_done()
    assert house.agents.steps() == ["clean"]
    house.bind(client, uuids)


def test_placement_shows_a_unit_again_when_it_is_clean(make: Make) -> None:
    house = make()
    client, uuids = bound(house)
    house.agents.gate.clear()
    client.delete_arqs(NOVA, uuids)
    while not house.agents.views.empty():
        view = house.agents.views.get()
    assert (view.providers[0].inventories["CUSTOM_ACCELERATOR"].usable, view.providers[0].traits) == (0, frozenset())
    house.agents.gate.set()
    view = house.agents.views.get(timeout=20)
    assert (view.providers[0].inventories["CUSTOM_ACCELERATOR"].usable, view.providers[0].traits) == (
        1,
        frozenset({"CUSTOM_GPU"}),
    )


def test_an_unbind_is_answered_and_its_card_comes_back_although_the_host_is_down(make: Make) -> None:
    """Unbind fails because the host is down, and the card is leaked for ever: not here."""
    house = make()
    client, uuids = bound(house)
    house.agents.trouble["clean"] = [errors.Unavailable("no answer")]
    client.unbind(NOVA, uuids)
    until("the host was asked", lambda: house.operations()[0].attempts > 0)
    assert (house.units(), house.operations()[0].last_error) == (["cleaning"], "no answer")
    house.until_done()
    assert house.units() == ["free"]


def test_a_host_that_is_known_to_be_down_is_not_asked_and_is_when_it_speaks_again(make: Make) -> None:
    house = make(operation_interval=3600)
    client, uuids = bound(house)
    with house.store.transaction() as tx:
        tx.execute(update(models.Host).values(seen_at=operations.now().replace(year=2000), down_since=operations.now()))
    client.unbind(NOVA, uuids)
    until("it is put off", lambda: "is down" in str(house.operations()[0].last_error))
    house.change_operations(next_at=operations.now().replace(year=3000))
    assert house.agents.asked == []
    client.sync(HOST, PROVIDER, {"fake_driver": ""}, -1)
    house.until_done()
    assert house.units() == ["free"]


def test_a_unit_that_cannot_be_cleaned_is_kept_from_everybody_until_its_device_is_enabled(make: Make) -> None:
    house = make(cleaning_attempts=2)
    client, uuids = bound(house)
    house.agents.trouble["clean"] = [GIVE_UP] * 2
    client.unbind(NOVA, uuids)
    until("it is in quarantine", lambda: house.units() == ["failed"])
    (given_up,) = house.operations()
    assert (given_up.subject, given_up.last_error) == (next(house.load().units())[2].uuid, GIVE_UP.message)
    assert given_up.ended_at is not None
    house.host(client, can={"cleans"}, plain=1)
    assert house.units() == ["failed"], "reports do not change that"
    device = house.load().devices[0].uuid
    effect = client.set_device_status(NOVA, device, inventory.DeviceStatus.ENABLED, dry_run=True)
    assert (effect.after["cleaning"], house.units()) == (1, ["failed"])
    client.set_device_status(NOVA, device, inventory.DeviceStatus.ENABLED)
    until("it is free", lambda: house.units() == ["free"])
    assert [(one.step, one.ends) for one in house.agents.asked] == [
        ("clean", given_up.uuid),
        ("release", given_up.uuid),
    ]
    house.bind(client, uuids)


def test_a_driver_that_does_not_know_any_more_how_to_clean_has_not_cleaned(make: Make) -> None:
    house = make(cleaning_attempts=1)
    client, uuids = bound(house)
    house.agents.cleans = False
    client.unbind(NOVA, uuids)
    until("it is in quarantine", lambda: house.units() == ["failed"])
    assert "does not know any more how to clean" in str(house.operations()[0].last_error)


def test_only_a_host_that_says_that_it_cannot_is_counted(make: Make) -> None:
    house = make(cleaning_attempts=2)
    client, uuids = bound(house)
    house.agents.trouble["clean"] = [errors.InUse("a neighbour is held"), GIVE_UP]
    client.unbind(NOVA, uuids)
    house.until_done()
    assert house.units() == ["free"]


def test_what_was_prepared_is_cleaned_and_taken_back(make: Make) -> None:
    house = make()
    client = house.conductor()
    house.host(client, can={"prepares", "cleans"}, to_make=1)
    uuids = house.request()
    instance = house.bind(client, uuids)
    client.delete_for_instance(NOVA, instance)
    house.until_done()
    assert house.agents.steps() == ["prepare", "clean", "release"]
    assert (house.units(), next(house.load().units())[2].attached) == (["free"], None)


def test_what_no_driver_has_to_clean_is_free_at_once_and_leaves_no_work(make: Make) -> None:
    house = make()
    client, uuids = bound(house, can=frozenset())
    client.unbind(NOVA, uuids)
    assert (house.units(), house.operations(), house.agents.asked) == (["free"], [], [])


def test_a_restart_of_the_conductor_in_the_middle_loses_nothing(make: Make) -> None:
    house = make()
    _, uuids = bound(house)
    dying = house.conductor(works=False)
    dying.unbind(NOVA, uuids)
    assert house.units() == ["cleaning"]
    house.change_operations(lease_until=operations.now().replace(year=2000))
    house.until_done()
    assert house.units() == ["free"]


def test_a_unit_that_is_gone_from_the_books_needs_nothing_any_more(make: Make) -> None:
    house = make()
    _, uuids = bound(house)
    house.conductor(works=False).unbind(NOVA, uuids)
    with house.store.transaction() as tx:
        tx.execute(update(models.Accelerator).values(work=None))
    house.change_operations(lease_until=operations.now().replace(year=2000))
    house.until_done()
    assert (house.units(), house.agents.asked) == (["free"], [])


def test_a_host_that_does_not_answer_holds_nobody_back(make: Make) -> None:
    house = make(operation_workers=4)
    client = house.conductor()
    house.host(client, "dead", can={"cleans"}, plain=6)
    house.host(client, "alive", can={"cleans"}, plain=1)
    many, one = house.request(6), house.request()
    house.bind(client, many, host="dead")
    house.bind(client, one, host="alive")
    house.until_done()
    house.agents.deaf.add("dead")
    house.agents.gate.clear()
    client.unbind(NOVA, many)
    client.unbind(NOVA, one)
    until("the other host's unit is free", lambda: house.units("alive") == ["free"])
    assert house.units("dead") == ["cleaning"] * 6
    house.bind(client, one, host="alive")
    until("Nova was told", lambda: house.nova.calls == 3)


def test_what_was_given_up_is_kept_for_a_while(make: Make) -> None:
    house = make(cleaning_attempts=1, operation_retention=60)
    client, uuids = bound(house)
    house.agents.trouble["clean"] = [GIVE_UP]
    client.unbind(NOVA, uuids)
    until("it is in quarantine", lambda: house.units() == ["failed"])
    retention = expiry.Retention(house.conf, house.store)
    retention.run(TURN)
    assert len(house.operations()) == 1
    house.change_operations(ended_at=operations.now().replace(year=2000))
    retention.run(TURN)
    assert house.operations() == []
