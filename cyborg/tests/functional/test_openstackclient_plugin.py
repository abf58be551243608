# SPDX-License-Identifier: Apache-2.0
"""The commands that we add to ``openstack``, against a service of its own."""

import csv
import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from cyborg.store import models, operations
from cyborg.store.engine import Store
from cyborg.tests.functional import standalone
from cyborg.tests.functional.client import Client
from cyborg.tests.functional.command_line import CommandLine, token_environment
from cyborg.tests.functional.standalone import Process

TRAIT = standalone.GPU_TRAIT
UNKNOWN = "7e62f5a8-9d71-4d0c-ad8b-5f2b1e0a3c11"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plugin")


@pytest.fixture(scope="module")
def url(state: Path) -> Iterator[str]:
    hosts = [
        f"--simulated-host=gpu-{cards}={standalone.gpu_host(state / f'{cards}.yaml', cards=cards)}" for cards in (1, 2)
    ]
    with Process(state / "state", *hosts, f"--drivers={standalone.GPU_DRIVER}", "--interval=3600") as process:
        yield process.wait_ready()


@pytest.fixture(scope="module")
def openstack(url: str) -> Iterator[CommandLine]:
    with CommandLine(token_environment(url)) as command_line:
        yield command_line


@pytest.fixture(scope="module")
def holder(url: str) -> tuple[str, str]:
    """(request, instance) that hold a unit of host gpu-2."""
    with Client(url) as client:
        client.create_profile("any-gpu", TRAIT)
        (request,) = client.create("any-gpu")
        instance = str(uuid.uuid4())
        provider = standalone.shown(client, "gpu-2").provider
        client.bind(request, host="gpu-2", provider=provider, instance=instance).expect(202)
    return request, instance


def test_hosts_are_listed_with_what_they_have(openstack: CommandLine, holder: tuple[str, str]) -> None:
    hosts = {one["name"]: one for one in openstack("accelerator", "host", "list").json}
    assert {name: one["accelerators"]["held"] for name, one in hosts.items()} == {"gpu-1": 0, "gpu-2": 1}
    (one,) = openstack("accelerator", "host", "list", "--name", "gpu-1", "--status", "enabled", "--long").json
    assert one["agent_state"] == "up"
    assert [driver["name"] for driver in one["drivers"]] == [standalone.GPU_DRIVER]
    assert openstack("accelerator", "host", "list", "--status", "disabled").json == []


def test_a_host_is_shown_by_name_and_uuid(openstack: CommandLine) -> None:
    by_name = openstack("accelerator", "host", "show", "gpu-1").json
    assert openstack("accelerator", "host", "show", by_name["uuid"]).json["name"] == "gpu-1"
    assert (by_name["drift"], by_name["differences"]) == (None, None), "no audit was there yet"
    assert "'gpu-9'" in openstack("accelerator", "host", "show", "gpu-9", expect=1).errors


def test_a_host_is_disabled_and_enabled(openstack: CommandLine) -> None:
    for option, status in (("--disable", "disabled"), ("--enable", "enabled")):
        openstack.run("accelerator", "host", "set", option, "gpu-1")
        assert openstack("accelerator", "host", "show", "gpu-1").json["status"] == status
    openstack.run("accelerator", "host", "set", "gpu-1", expect=2)


def test_units_are_listed_with_their_holders(openstack: CommandLine, holder: tuple[str, str]) -> None:
    request, instance = holder
    assert len(openstack("accelerator", "unit", "list").json) == 3
    (held,) = openstack("accelerator", "unit", "list", "--state", "held", "--host", "gpu-2").json
    assert (held["holder"]["arq_uuid"], held["holder"]["instance_uuid"]) == (request, instance)
    (long,) = openstack("accelerator", "unit", "list", "--state", "held", "--long").json
    for option, member in (("--device", "device_uuid"), ("--deployable", "deployable_uuid")):
        (same,) = openstack("accelerator", "unit", "list", option, long[member]).json
        assert same["uuid"] == held["uuid"]
    assert openstack("accelerator", "unit", "show", held["uuid"]).json["state"] == "held"


@pytest.fixture
def given_up(state: Path, url: str) -> Iterator[str]:
    """An operation that nobody tries any more, in the books of the service."""
    store, one, ended = Store(f"sqlite:///{state / 'state' / 'cyborg.db'}"), str(uuid.uuid4()), operations.now()
    values = {"kind": "nova_events", "hostname": "gpu-1", "subject": UNKNOWN, "last_error": "Nova answered 500."}
    with store.transaction() as tx:
        tx.execute(insert(models.Operation).values(uuid=one, payload={}, next_at=ended, ended_at=ended, **values))
    yield one
    with store.transaction() as tx:
        tx.execute(delete(models.Operation).where(models.Operation.uuid == one))
    store.dispose()


def test_operations_are_listed_and_shown(openstack: CommandLine, given_up: str) -> None:
    command = ("accelerator", "operation", "list")
    (one,) = openstack(*command).json
    assert (one["uuid"], one["state"], one["last_error"]) == (given_up, "failed", "Nova answered 500.")
    filters = ("--kind", "nova_events", "--host", "gpu-1", "--subject", UNKNOWN, "--state", "failed")
    (long,) = openstack(*command, *filters, "--long").json
    assert openstack("accelerator", "operation", "show", given_up).json == long
    for option, other in (("--kind", "clean"), ("--host", "gpu-2"), ("--subject", given_up), ("--state", "due")):
        assert openstack(*command, option, other).json == []
    assert UNKNOWN in openstack("accelerator", "operation", "show", UNKNOWN, expect=1).errors


def test_a_profile_is_changed(openstack: CommandLine) -> None:
    group = "resources:CUSTOM_ACCELERATOR=1"
    made = openstack("accelerator", "device", "profile", "create", "changing", "--group", group).json
    change = ("accelerator", "device", "profile", "set", "changing")
    told = openstack(*change, "--description", "one of any kind").json
    assert (told["description"], told["groups"]) == ("one of any kind", made["groups"])
    groups = ("--group", "resources:FPGA=2", "--group", "resources:PGPU=1")
    changed = openstack(*change, *groups, "--generation", str(told["generation"])).json
    assert changed["groups"] == [{"resources:FPGA": "2"}, {"resources:PGPU": "1"}]
    assert changed["uuid"] == made["uuid"]
    late = openstack(*change, "--description", "late", "--generation", str(told["generation"]), expect=1)
    assert "409" in late.errors
    assert "--description" in openstack(*change, expect=1).errors


def test_a_profile_is_shared_with_chosen_projects(openstack: CommandLine) -> None:
    group = "resources:CUSTOM_ACCELERATOR=1"
    openstack("accelerator", "device", "profile", "create", "shared", "--group", group)
    change = ("accelerator", "device", "profile", "set", "shared")
    private = openstack(*change, "--private", "--project", "demo", "--project", "other").json
    assert (private["visibility"], sorted(private["projects"])) == ("private", ["demo", "other"])
    assert openstack(*change, "--public").json["visibility"] == "public"


def test_a_device_is_disabled_after_a_look_at_what_that_does(openstack: CommandLine, holder: tuple[str, str]) -> None:
    (held,) = openstack("accelerator", "unit", "list", "--state", "held", "--long").json
    change = ("accelerator", "device", "set", held["device_uuid"])
    effect = openstack(*change, "--disable", "--dry-run").json
    assert (effect["status"], effect["holders"], bool(effect["refused"])) == ("maintaining", 1, True)
    assert "409" in openstack(*change, "--disable", expect=1).errors
    disabled = openstack(*change, "--disable", "--drain").json
    assert disabled["status"] == "maintaining"
    old = str(disabled["generation"] - 1)
    assert "409" in openstack(*change, "--enable", "--generation", old, expect=1).errors
    assert openstack(*change, "--enable", "--generation", str(disabled["generation"])).json["status"] == "enabled"
    assert "--disable" in openstack(*change, "--enable", "--drain", expect=1).errors


@pytest.mark.parametrize("what", ["host", "unit"])
def test_a_list_has_each_form(openstack: CommandLine, what: str) -> None:
    rows = openstack("accelerator", what, "list").json
    assert openstack("accelerator", what, "list", style="table").text.startswith("+--")
    parsed = list(csv.DictReader(io.StringIO(openstack("accelerator", what, "list", style="csv").text)))
    assert [row["uuid"] for row in parsed] == [row["uuid"] for row in rows]
