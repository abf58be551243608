# SPDX-License-Identifier: Apache-2.0
"""Whatever the service stands on may go away and come back: nothing is lost, nobody hangs, nobody is started again.

The same with longer outages, and on PostgreSQL too: `bench.outages`.
"""

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from cyborg.domain.inventory import AcceleratorState
from cyborg.store.models import Operation
from cyborg.tests.functional import books, outages, private_servers
from cyborg.tests.functional.client import Client
from cyborg.tests.functional.fleet import Fleet
from cyborg.tests.functional.outages import Scene
from cyborg.tests.functional.traffic import Traffic, give_back
from cyborg.tests.waiting import until

pytestmark = pytest.mark.servers

LENGTH = 1.5
#: A host whose one card has to be cleaned after each guest.
CLEANED, TRAIT = "fake-1", "CUSTOM_FAKE_DEVICE"
CLEANING = {
    "agent": {"enabled_drivers": "fake_driver", "clean": True},
    "fake_devices": {"accelerators": 1, "host_work": "clean"},
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    private_servers.wanted("mysql", "rabbitmq")
    with Scene.of("mysql", tmp_path_factory.mktemp("outages")) as running:
        yield running


@pytest.mark.parametrize("name", ["Placement", "Nova", "agent", "database killed", "broker killed"])
def test_what_goes_away_for_a_moment_costs_nothing_but_the_moment(scene: Scene, name: str) -> None:
    outcome = outages.suffer(scene, name, LENGTH)
    assert not outcome.wrong, "\n".join([*outcome.wrong, scene.fleet.output()[-20000:]])


def test_processes_come_and_go_and_what_was_accepted_is_done(scene: Scene) -> None:
    fleet, users = scene.fleet, len(outages.HOSTS)
    with Traffic(fleet, users=users) as traffic:
        traffic.wait_for_boots()
        fleet.start("conductor-3", "api-3")
        assert fleet["conductor-1"].stop()[0] == 0
        traffic.wait_for_boots()
        assert [call for call in traffic.calls if not call.is_well] == []
        assert fleet["api-1"].stop()[0] == 0
        fleet["conductor-2"].kill()
        traffic.wait_for_boots()
        fleet["api-2"].kill()
        traffic.wait_for_boots()
        fleet.start("api-1", "conductor-1", "api-2", "conductor-2")
        traffic.wait_for_boots()
    # Of each user one call may have been in the hands of each that was killed, and one on its way to the one that left.
    assert len([call for call in traffic.calls if not call.is_well]) <= 3 * users
    for name in ("conductor-3", "api-3"):
        assert fleet[name].stop()[0] == 0
    until("nothing is wrong", lambda: not fleet.problems() and not traffic.broken_promises())
    give_back(fleet)


def states(fleet: Fleet) -> list[AcceleratorState]:
    return [device.state(unit) for device, _, unit in books.load(fleet.store, CLEANED).units()]


def failures(fleet: Fleet) -> list[str | None]:
    """Of the work that is to be done on that host: why it could not be done the last time."""
    with fleet.store.reading() as tx:
        return list(tx.execute(select(Operation.last_error).where(Operation.hostname == CLEANED)).scalars())


def test_a_card_that_is_given_back_while_its_agent_is_down_is_nobodys_before_it_has_been_cleaned(scene: Scene) -> None:
    fleet, agent = scene.fleet, f"agent-{CLEANED}"
    fleet.add_host(CLEANED, 1, CLEANING)
    fleet.start(agent)
    until("the card is offered", lambda: fleet.is_known and not fleet.problems())
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    where = {"host": CLEANED, "provider": fleet.providers[CLEANED]}
    with Client(fleet.urls[0]) as client:
        client.create_profile("cleaned", TRAIT)
        requests = [*client.create("cleaned"), *client.create("cleaned")]
        client.bind(requests[0], **where, instance=first).expect(202)
        until("the card is offered no longer", lambda: not fleet.problems())
        fleet[agent].kill()
        client.delete_for_instance(first)
        until("the agent was asked, and did not answer", lambda: any(failures(fleet)))
        assert states(fleet) == [AcceleratorState.CLEANING]
        client.bind(requests[1], **where, instance=second).expect(409)
        assert fleet.providers[CLEANED] not in fleet.placement_server.candidates({"CUSTOM_ACCELERATOR": 1}, [TRAIT])
        fleet.start(agent)
        until("the card is free", lambda: states(fleet) == [AcceleratorState.FREE])
        until("the card is offered again", lambda: not fleet.problems())
        client.bind(requests[1], **where, instance=second).expect(202)
    give_back(fleet)
