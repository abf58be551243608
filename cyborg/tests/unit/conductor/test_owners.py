# SPDX-License-Identifier: Apache-2.0
"""Requests that an administrator's evacuate or unshelve makes belong to the project of the server."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyborg import context
from cyborg.conductor import owners
from cyborg.domain import arq
from cyborg.tests.placement_fixture import OWNER, PlacementFixture
from cyborg.tests.unit.conductor.house import HOST, NOVA, PROVIDER, Client, House

ADMIN = context.RequestContext(user_id="root", project_id="admins", roles=["admin"], from_service=True)
SERVERS = str(OWNER["project_id"])


@pytest.fixture
def house(tmp_path: Path, placement: PlacementFixture) -> Iterator[House]:
    placement.create_provider(HOST, uuid=PROVIDER, inventories={"VCPU": {"total": 8}})
    with House(tmp_path) as found:
        placement.configure(found.conf)
        yield found


@pytest.fixture
def client(house: House) -> Client:
    client = house.conductor()
    house.host(client, plain=2)
    return client


@pytest.fixture
def server(placement: PlacementFixture) -> str:
    """Which Nova has claimed for."""
    return placement.claim(PROVIDER, {"VCPU": 1})


def bind(
    house: House, client: Client, server: str, *, caller: context.RequestContext = ADMIN, project: str | None = None
) -> arq.Arq:
    (made,) = house.request()
    house.bind(client, [made], instance=server, caller=caller, project=project)
    (found,) = house.get(made)
    assert found.state is arq.State.BOUND
    return found


def test_what_an_administrator_binds_is_the_servers(house: House, client: Client, server: str) -> None:
    assert bind(house, client, server).project_id == SERVERS


def test_a_project_that_the_administrator_names_is_taken(house: House, client: Client, server: str) -> None:
    assert bind(house, client, server, project="named").project_id == "named"


def test_a_project_that_placement_was_never_told_is_none(
    house: House, client: Client, placement: PlacementFixture
) -> None:
    server = str(uuid.uuid4())
    body = {"allocations": {PROVIDER: {"resources": {"VCPU": 1}}}, "consumer_generation": None, **OWNER}
    placement.request("PUT", f"/allocations/{server}", body | {"project_id": owners.UNTOLD})
    assert bind(house, client, server).project_id == "owner"


def test_of_a_server_without_allocation_nothing_is_known(house: House, client: Client) -> None:
    assert bind(house, client, str(uuid.uuid4())).project_id == "owner"


def test_the_binds_of_users_ask_placement_nothing(
    house: House, client: Client, server: str, placement: PlacementFixture
) -> None:
    placement.log.clear()
    assert bind(house, client, server, caller=NOVA).project_id == "owner"
    assert not placement.log


def test_without_placement_it_is_bound_all_the_same(
    house: House, client: Client, server: str, placement: PlacementFixture, caplog: pytest.LogCaptureFixture
) -> None:
    placement.down()
    found = bind(house, client, server)
    assert found.project_id == "owner"
    assert "stay the administrator's" in caplog.text
    placement.up()
    house.bind(client, [found.uuid], instance=server, caller=ADMIN)
    assert house.get(found.uuid) == [found], "a repeat is no error, and changes nothing"
