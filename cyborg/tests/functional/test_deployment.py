# SPDX-License-Identifier: Apache-2.0
"""A configuration written for the upstream service starts ours, under Keystone, MariaDB or PostgreSQL, and RabbitMQ.

Nova is played by the test: it claims in Placement, and calls with the user's token and a service token of its own.
"""

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openstack.connection
import pytest
import sqlalchemy

from cyborg.store import models
from cyborg.tests import databases
from cyborg.tests.functional import processes
from cyborg.tests.functional.cloud import ACCELERATOR, GPU_TRAIT, PROFILE, Cloud
from cyborg.tests.functional.deployment import CONDUCTORS, Deployment, rabbitmq
from cyborg.tests.functional.fake_nova import FakeNova
from cyborg.tests.functional.keystone_fixture import OTHER_REGION, REGION, Identity
from cyborg.tests.waiting import until

pytestmark = pytest.mark.servers

OTHER_TRAIT = "CUSTOM_PCI_1D0F"
GPUS = {"0000:10:00.0", "0000:11:00.0"}
STOPS_WITHIN = 10.0
#: For a request to get to where it waits.
A_WHILE = 1.0


@pytest.fixture(scope="session")
def nova() -> Iterator[FakeNova]:
    with FakeNova() as running:
        yield running


@pytest.fixture(scope="session")
def port() -> int:
    return processes.free_port()


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory, nova: FakeNova, port: int) -> Iterator[Identity]:
    """One for all; the other region has the endpoint without its version."""
    rabbitmq()
    directory = tmp_path_factory.mktemp("identity")
    with databases.fresh("mysql", directory) as books, Identity(directory, placement_database=books) as running:
        running.add_endpoint("compute", nova.url)
        running.add_endpoint("accelerator", f"http://127.0.0.1:{port}/v2")
        running.add_endpoint("accelerator", f"http://127.0.0.1:{port}", region=OTHER_REGION)
        yield running


@pytest.fixture(scope="module", params=list(databases.VARIABLES))
def deployed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    identity: Identity,
    nova: FakeNova,
    port: int,
) -> Iterator[tuple[Deployment, sqlalchemy.Engine]]:
    directory: Path = tmp_path_factory.mktemp("deployment")
    with (
        databases.fresh(request.param, directory) as database,
        Deployment(directory, identity, database=database, transport_url=rabbitmq(), port=port) as deployment,
    ):
        deployment.prepare()
        engine = sqlalchemy.create_engine(database, poolclass=sqlalchemy.NullPool)
        deployment.run()
        Cloud(deployment, identity, nova, engine).create_profile()
        yield deployment, engine


@pytest.fixture
def cloud(deployed: tuple[Deployment, sqlalchemy.Engine], identity: Identity, nova: FakeNova) -> Iterator[Cloud]:
    """Everything runs, and nothing is bound."""
    deployment, engine = deployed
    nova.code = 200
    cloud = Cloud(deployment, identity, nova, engine)
    deployment.run()
    cloud.until_candidate(GPU_TRAIT, so=True)
    yield cloud
    deployment.run()
    cloud.clean()


def address(request: dict[str, Any]) -> str:
    info = request["attach_handle_info"]
    return f"{info['domain']}:{info['bus']}:{info['device']}.{info['function']}"


def new_instance() -> str:
    return str(uuid.uuid4())


def test_the_devices_of_both_hosts_appear(cloud: Cloud) -> None:
    listed = cloud.call("GET", "/devices", user="admin").json()["devices"]
    found = {(one["hostname"], one["type"]) for one in listed}
    assert found == {
        (cloud.deployment.gpu_host, "GPU"),
        (cloud.deployment.gpu_host, "PCI"),
        (cloud.deployment.fake_host, "FPGA"),
    }
    assert len(listed) == 4


def test_requests_of_a_member_that_nova_binds_get_gpus_until_none_is_left(cloud: Cloud) -> None:
    instances = [new_instance(), new_instance()]
    for instance in instances:
        cloud.claim(instance)
        assert cloud.bind(cloud.create(), instance).status_code == 202
    bound = cloud.requests("alice")
    assert {one["state"] for one in bound} == {"Bound"}
    assert {address(one) for one in bound} == GPUS
    cloud.until_candidate(GPU_TRAIT, so=False)
    assert cloud.is_candidate(OTHER_TRAIT)
    refused = cloud.bind(cloud.create(), new_instance())
    assert (refused.status_code, "faultstring" in refused.text) == (409, True)
    for instance in instances:
        assert cloud.delete(instance).status_code == 204
        cloud.unclaim(instance)
    cloud.until_candidate(GPU_TRAIT, so=True)


def test_a_member_without_a_service_token_cannot_bind(cloud: Cloud) -> None:
    request = cloud.create()
    answer = cloud.bind(request, new_instance(), service="")
    assert (answer.status_code, "requires a service token" in answer.text) == (403, True)
    assert cloud.call("GET", f"/accelerator_requests/{request}").json()["state"] == "Initial"


def test_a_service_token_without_a_service_role_is_none(cloud: Cloud, identity: Identity) -> None:
    request = cloud.create()
    token = identity.session("bob", "other").get_token()
    session = identity.session("alice", "demo")
    body = {request: [{"op": "add", "path": "/hostname", "value": "x"}]}
    answer = session.patch("/accelerator_requests", json=body, headers={"X-Service-Token": token}, **ACCELERATOR)
    assert answer.status_code in {401, 403}


def test_what_another_project_has_is_not_there_for_its_neighbours(cloud: Cloud) -> None:
    request = cloud.create()
    assert [one["uuid"] for one in cloud.requests("alice")] == [request]
    assert [one["uuid"] for one in cloud.requests("rita")] == [request]
    assert cloud.requests("bob") == []
    assert cloud.call("GET", f"/accelerator_requests/{request}", user="bob").status_code == 404
    assert cloud.call("DELETE", f"/accelerator_requests/{request}", user="bob").status_code == 404


def test_a_reader_reads_and_changes_no_hardware(cloud: Cloud) -> None:
    assert cloud.call("GET", "/device_profiles", user="rita").status_code == 200
    body = [{"name": "another", "groups": [{"resources:CUSTOM_ACCELERATOR": "1"}]}]
    assert cloud.call("POST", "/device_profiles", user="rita", body=body).status_code == 403


def test_without_a_token_only_the_versions_are_told(cloud: Cloud) -> None:
    url = f"http://127.0.0.1:{cloud.deployment.port}"
    session = cloud.identity.session("alice", "demo")
    codes = {
        path: session.request(f"{url}{path}", "GET", authenticated=False, raise_exc=False).status_code
        for path in ("/", "/v2", "/v2/devices", "/v2/accelerator_requests")
    }
    assert codes == {"/": 200, "/v2": 200, "/v2/devices": 401, "/v2/accelerator_requests": 401}


# openstacksdk warns of its own call of itself.
@pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning")
@pytest.mark.parametrize("region", [REGION, OTHER_REGION])
def test_openstacksdk_finds_its_way_from_the_catalog(cloud: Cloud, region: str) -> None:
    session = cloud.identity.session("admin", "admin")
    connection = openstack.connection.Connection(session=session, region_name=region)
    assert [one.name for one in connection.accelerator.device_profiles()] == [PROFILE]
    assert len(list(connection.accelerator.devices())) == 4
    made = connection.accelerator.create_accelerator_request(device_profile_name=PROFILE)
    assert connection.accelerator.get_accelerator_request(made.id).state == "Initial"
    connection.accelerator.delete_accelerator_request(made.id)
    assert list(connection.accelerator.accelerator_requests()) == []


@pytest.mark.parametrize("code", [200, 422, 404])
def test_nova_is_told_once_whatever_it_thinks_of_the_event(cloud: Cloud, code: int) -> None:
    cloud.nova.code = code
    instance, request = new_instance(), cloud.create()
    assert cloud.bind(request, instance).status_code == 202
    until("the event is done with", cloud.is_idle)
    assert cloud.nova.events(instance) == [
        {"name": "accelerator-request-bound", "server_uuid": instance, "tag": request, "status": "completed"}
    ]
    (told,) = [one for one in cloud.nova.requests if one.body["events"][0]["server_uuid"] == instance]
    assert (told.path, told.microversion) == ("/v2.1/os-server-external-events", "compute 2.82")
    assert told.token


def test_the_other_conductor_goes_on_when_one_is_killed_while_binding(cloud: Cloud) -> None:
    stopping = threading.Event()
    outcomes: list[int] = []

    def loop() -> None:
        while not stopping.is_set():
            instance, request = new_instance(), cloud.create()
            outcomes.append(cloud.bind(request, instance).status_code)
            outcomes.append(cloud.delete(instance).status_code)
            outcomes.append(cloud.call("DELETE", f"/accelerator_requests/{request}", service="nova").status_code)

    with ThreadPoolExecutor(max_workers=2) as pool:
        loops = [pool.submit(loop) for _ in range(2)]
        until("binds are under way", lambda: len(outcomes) > 12)
        cloud.deployment[CONDUCTORS[0]].kill()
        before = len(outcomes)
        until("binds go on", lambda: len(outcomes) > before + 30, patience=40)
        stopping.set()
        for one in loops:
            one.result()
    # What the dead one had in hand, one call of each loop, is answered 503 after bind_timeout and may be said again.
    assert set(outcomes) <= {202, 204, 404, 503}
    assert outcomes.count(503) <= len(loops)
    cloud.clean()
    assert cloud.rows(models.Accelerator, models.Accelerator.arq_uuid.is_not(None)) == 0
    cloud.until_candidate(GPU_TRAIT, so=True)


def test_sigterm_ends_every_process_in_time_with_requests_in_hand_answered(cloud: Cloud) -> None:
    instance, request = new_instance(), cloud.create()
    host = sqlalchemy.select(models.Host.id).where(models.Host.name == cloud.deployment.gpu_host).with_for_update()
    with ThreadPoolExecutor() as pool:
        with cloud.engine.begin() as connection:
            connection.execute(host)
            answer = pool.submit(cloud.bind, request, instance)
            time.sleep(A_WHILE)
            ends = [pool.submit(cloud.deployment[name].stop) for name in cloud.deployment.names]
            time.sleep(A_WHILE)
        assert answer.result().status_code == 202
        stopped = dict(zip(cloud.deployment.names, [end.result() for end in ends], strict=True))
    assert {name: status for name, (status, _) in stopped.items()} == dict.fromkeys(stopped, 0)
    assert {name for name, (_, seconds) in stopped.items() if seconds > STOPS_WITHIN} == set()
    cloud.deployment.run()
    assert cloud.call("GET", f"/accelerator_requests/{request}").json()["state"] == "Bound"


def test_the_upgrade_check_passes_and_the_upgrade_can_be_repeated(cloud: Cloud) -> None:
    checked = cloud.deployment.command("cyborg-status", "upgrade", "check")
    assert checked.returncode == 0, checked.stdout
    again = cloud.deployment.command("cyborg-dbsync", "upgrade")
    assert again.returncode == 0, again.stderr


SERVE = """
import sys
from wsgiref.simple_server import make_server
from cyborg.wsgi.api import application
make_server("127.0.0.1", int(sys.argv[-1]), application).serve_forever()
"""


def test_another_wsgi_server_can_serve_the_module_whatever_its_command_line_is(cloud: Cloud, tmp_path: Path) -> None:
    port = processes.free_port()
    argv = [*processes.command("python"), "-c", SERVE, "--ini", "uwsgi.ini", "--http=:1", str(port)]
    files = {"OS_CYBORG_CONFIG_FILES": str(cloud.deployment.configuration)}
    with processes.Process("wsgi", argv, tmp_path, files) as server:
        until("it listens", lambda: processes.listens(port) or not server.runs)
        session = cloud.identity.session("admin", "admin")
        url = f"http://127.0.0.1:{port}/v2/device_profiles"
        assert [one["name"] for one in session.get(url).json()["device_profiles"]] == [PROFILE]
        assert session.get(url, authenticated=False, raise_exc=False).status_code == 401
