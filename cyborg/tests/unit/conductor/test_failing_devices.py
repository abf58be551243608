# SPDX-License-Identifier: Apache-2.0
"""A device that cannot be made ready for a guest does not get one server after the other."""

import pytest
from oslo_messaging.notify import _impl_test

from cyborg.domain import errors, inventory
from cyborg.tests.unit.conductor.house import HOST, NOVA, PROVIDER, Client, House, Make

REFUSED = errors.DriverError("the kernel answers EIO")


def look(house: House, client: Client) -> str:
    """A report, whose digest it returns, of one card with a unit that has to be made: all is well."""
    return house.host(client, can={"prepares"}, to_make=1)


def fail(house: House, client: Client, error: errors.CyborgError = REFUSED) -> None:
    house.agents.trouble["prepare"] = [error]
    with pytest.raises(errors.Conflict, match=error.message):
        house.bind(client, house.request())
    house.until_done()


def device(house: House) -> inventory.Device:
    (found,) = house.load().devices
    return found


def test_it_takes_nobody_until_it_was_seen_to_work_some_times(make: Make) -> None:
    house = make(health_clean_looks=2)
    client = house.conductor()
    look(house, client)
    fail(house, client)
    assert (str(device(house).health), device(house).health_reasons) == ("failed", ("preparation_failed",))
    with pytest.raises(errors.NoAccelerator, match="1 failed"):
        house.bind(client, house.request())
    look(house, client)
    assert house.units() == ["failed"], "one look is not enough"
    look(house, client)
    assert house.units() == ["free"]
    house.bind(client, house.request())
    assert house.units() == ["held"]


def test_its_agent_is_asked_for_looks_though_nothing_has_changed(make: Make) -> None:
    house = make(health_clean_looks=2)
    client = house.conductor()
    digests = {"fake_driver": look(house, client)}
    assert client.sync(HOST, PROVIDER, digests, -1).stale == ()
    fail(house, client)
    for _ in range(2):
        assert client.sync(HOST, PROVIDER, digests, -1).stale == ("fake_driver",)
        look(house, client)
    assert client.sync(HOST, PROVIDER, digests, -1).stale == ()


def test_one_that_fails_again_and_again_is_an_operators_business(make: Make) -> None:
    house = make(health_clean_looks=1, health_failures=2)
    client = house.conductor()
    for _ in range(2):
        look(house, client)
        fail(house, client)
    for _ in range(3):
        look(house, client)
    assert device(house).health_reasons == ("failed_too_often",)
    client.set_device_status(NOVA, device(house).uuid, inventory.DeviceStatus.ENABLED)
    assert house.units() == ["free"]


@pytest.mark.parametrize(
    "error",
    [errors.Conflict("not to have one"), errors.NotFound("gone")],
    ids=lambda one: str(one.code),
)
def test_what_is_no_fault_of_the_device_is_not_held_against_it(make: Make, error: errors.CyborgError) -> None:
    house = make()
    client = house.conductor()
    look(house, client)
    fail(house, client, error)
    assert (house.units(), device(house).health_history) == (["free"], None)


def test_after_the_caller_has_gone_the_same_is_true(make: Make) -> None:
    house = make(bind_wait=0, bind_failure_delay=0)
    client = house.conductor()
    look(house, client)
    house.agents.trouble["prepare"] = [REFUSED]
    house.bind(client, house.request())
    house.until_done()
    assert house.units() == ["failed"]


def test_it_is_told_of(make: Make) -> None:
    house = make()
    house.conf.set_override("driver", ["test"], "oslo_messaging_notifications")
    _impl_test.reset()
    client = house.conductor()
    look(house, client)
    fail(house, client)
    told = {message["event_type"]: message["payload"] for _, message, _, _ in _impl_test.NOTIFICATIONS}
    assert told["device.health.changed"]["device"]["health_reasons"] == ["preparation_failed"]
