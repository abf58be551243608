# SPDX-License-Identifier: Apache-2.0
"""Every ``openstack accelerator`` command of the stock client, against a service of its own.

The commands are those of python-openstackclient. Older releases take the same ones from python-cyborgclient, which
cannot be installed beside them: CYBORG_TEST_OLD_CLIENT names the Python of an environment that has that one.
"""

import csv
import io
import json
import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

import pytest

from cyborg.tests.functional import standalone
from cyborg.tests.functional.command_line import CommandLine, Said
from cyborg.tests.functional.worlds import CARDS, HOST, World, with_keystone

TRAIT = standalone.GPU_TRAIT
OLD_CLIENT = os.environ.get("CYBORG_TEST_OLD_CLIENT")
STATUS = {"OS_ACCELERATOR_DEFAULT_MICROVERSION": "2.3"}
LISTS = (("device",), ("deployable",), ("device", "attribute"), ("device", "profile"), ("arq",))


@pytest.fixture(
    scope="module",
    params=[
        sys.executable,
        pytest.param(
            OLD_CLIENT, marks=pytest.mark.skipif(not OLD_CLIENT, reason="CYBORG_TEST_OLD_CLIENT names no Python")
        ),
    ],
    ids=["openstackclient", "cyborgclient"],
)
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With Keystone; what the service makes of calls without it, the stories of openstacksdk show."""
    with with_keystone(tmp_path_factory.mktemp("keystone")) as found:
        yield found


@pytest.fixture(scope="module")
def openstack(python: str, world: World) -> Iterator[CommandLine]:
    """As an administrator."""
    with CommandLine({**world.environment, **STATUS}, python=python) as command_line:
        yield command_line


@pytest.fixture(scope="module")
def service(python: str, world: World) -> Iterator[CommandLine]:
    """The same, passed on by another service."""
    with CommandLine({**world.environment, **world.passed_on}, python=python) as command_line:
        yield command_line


@pytest.fixture
def profile(openstack: CommandLine) -> Iterator[str]:
    name = f"gpu-{uuid.uuid4().hex[:8]}"
    made = created(openstack, name, {"resources:CUSTOM_ACCELERATOR": "1", f"trait:{TRAIT}": "required"}).json
    yield name
    openstack.run("accelerator", "device", "profile", "delete", made["uuid"])


@pytest.fixture
def request_uuid(openstack: CommandLine, profile: str) -> Iterator[str]:
    made: str = openstack("accelerator", "arq", "create", profile).json["uuid"]
    yield made
    openstack.run("accelerator", "arq", "delete", made)


def created(
    openstack: CommandLine, name: str, *groups: dict[str, str], more: Sequence[str] = (), expect: int = 0
) -> Said:
    """A profile; the older client takes its groups as JSON."""
    if openstack.python == sys.executable:
        texts = (",".join(f"{key}={value}" for key, value in group.items()) for group in groups)
        more = [*more, *(part for text in texts for part in ("--group", text))]
    else:
        more = [json.dumps(groups), *more]
    return openstack("accelerator", "device", "profile", "create", name, *more, expect=expect)


def listed(openstack: CommandLine, *what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = openstack("accelerator", *what, "list").json
    return found


def test_devices_are_listed_and_shown_with_their_status(openstack: CommandLine) -> None:
    devices = listed(openstack, "device")
    assert [(one["hostname"], one["type"]) for one in devices] == [(HOST, "GPU")] * CARDS
    if openstack.python == sys.executable:  # the older client shows it for one device only
        assert [one["status"] for one in devices] == ["enabled"] * CARDS
    long = openstack("accelerator", "device", "list", "--long").json
    assert [one["model"] for one in long] == ["20f1"] * CARDS
    shown = openstack("accelerator", "device", "show", devices[0]["uuid"]).json
    assert shown["uuid"] == devices[0]["uuid"]
    assert shown["vendor"] == "10de"


def test_a_device_is_disabled_and_enabled(openstack: CommandLine) -> None:
    one = listed(openstack, "device")[0]["uuid"]
    for verb, status in (("disable", "maintaining"), ("enable", "enabled")):
        openstack.run("accelerator", "device", verb, one)
        assert openstack("accelerator", "device", "show", one).json["status"] == status


def test_deployables_are_listed_and_shown(openstack: CommandLine) -> None:
    deployables = listed(openstack, "deployable")
    assert len(deployables) == CARDS
    long = openstack("accelerator", "deployable", "list", "--long").json
    assert [one["num_accelerators"] for one in long] == [1] * CARDS
    one = deployables[0]
    assert openstack("accelerator", "deployable", "show", one["uuid"]).json["name"] == one["name"]


def test_a_deployable_that_cannot_be_programmed_says_so(openstack: CommandLine) -> None:
    if openstack.python != sys.executable:
        pytest.skip("the older client calls itself without end, and never the service")
    one = listed(openstack, "deployable")[0]["uuid"]
    said = openstack("accelerator", "deployable", "program", one, str(uuid.uuid4()), expect=1)
    assert "cannot be programmed" in said.errors


def test_an_attribute_is_made_shown_listed_and_deleted(openstack: CommandLine) -> None:
    deployable = str(listed(openstack, "device", "attribute")[0]["deployable_id"])
    made = openstack("accelerator", "device", "attribute", "create", deployable, "rack", "b7 é 😀").json
    shown = openstack("accelerator", "device", "attribute", "show", made["uuid"]).json
    assert (shown["key"], shown["value"]) == ("rack", "b7 é 😀")
    assert made["uuid"] in [one["uuid"] for one in listed(openstack, "device", "attribute")]
    openstack.run("accelerator", "device", "attribute", "delete", made["uuid"])
    assert made["uuid"] not in [one["uuid"] for one in listed(openstack, "device", "attribute")]


def test_a_profile_is_made_shown_listed_and_deleted(openstack: CommandLine) -> None:
    made = created(openstack, "two", {"resources:FPGA": "2"}, {"resources:PGPU": "1"}).json
    described = created(openstack, "told", {"resources:FPGA": "1"}, more=["--description", "of FPGAs"]).json
    assert made["groups"] == [{"resources:FPGA": "2"}, {"resources:PGPU": "1"}]
    assert openstack("accelerator", "device", "profile", "show", made["uuid"]).json["name"] == "two"
    names = {one["name"]: one["description"] for one in listed(openstack, "device", "profile")}
    assert {name: names[name] for name in ("two", "told")} == {"two": None, "told": "of FPGAs"}
    assert "two" in created(openstack, "two", {"resources:FPGA": "2"}, expect=1).errors
    openstack.run("accelerator", "device", "profile", "delete", made["uuid"], described["uuid"])
    assert not {"two", "told"} & {one["name"] for one in listed(openstack, "device", "profile")}


def test_a_request_is_made_listed_shown_and_deleted(openstack: CommandLine, profile: str) -> None:
    made = openstack("accelerator", "arq", "create", profile).json
    assert made["state"] == "Initial"
    assert openstack("accelerator", "arq", "show", made["uuid"]).json["device_profile_name"] == profile
    long = {one["uuid"]: one for one in openstack("accelerator", "arq", "list", "--long").json}
    assert long[made["uuid"]]["hostname"] is None
    openstack.run("accelerator", "arq", "delete", made["uuid"])
    assert made["uuid"] in openstack("accelerator", "arq", "show", made["uuid"], expect=1).errors


def test_only_a_service_binds_and_unbinds(
    openstack: CommandLine, service: CommandLine, world: World, request_uuid: str
) -> None:
    bind = ["accelerator", "arq", "bind", request_uuid, HOST, str(uuid.uuid4()), world.provider]
    if openstack.python != sys.executable:
        bind.append("admin")  # a project, which the older client wants and does not send
    assert "requires a service token" in openstack(*bind, expect=1).errors
    bound = service(*bind).json
    assert (bound["state"], bound["hostname"], bound["attach_handle_type"]) == ("Bound", HOST, "PCI")
    assert bound["attach_handle_info"]["domain"] == "0000"
    unbound = service("accelerator", "arq", "unbind", request_uuid).json
    assert (unbound["state"], unbound["hostname"]) == ("Unbound", None)


@pytest.mark.parametrize("what", LISTS, ids=" ".join)
def test_every_list_has_each_form(openstack: CommandLine, request_uuid: str, what: tuple[str, ...]) -> None:
    rows = listed(openstack, *what)
    assert rows
    table: Said = openstack("accelerator", *what, "list", style="table")
    assert table.text.startswith("+--")
    parsed = list(csv.DictReader(io.StringIO(openstack("accelerator", *what, "list", style="csv").text)))
    assert [row["uuid"] for row in parsed] == [row["uuid"] for row in rows]


def test_no_command_of_the_stock_client_is_left_out() -> None:
    """One that is new there needs a test here."""
    verbs = {
        "arq": "bind create delete list show unbind",
        "deployable": "list program show",
        "device": "disable enable list show",
        "device_attribute": "create delete list show",
        "device_profile": "create delete list show",
    }
    covered = {f"accelerator_{noun}_{verb}" for noun, listed in verbs.items() for verb in listed.split()}
    points = metadata.entry_points(group="openstack.accelerator.v2")
    assert {point.name for point in points if point.value.startswith("openstackclient.")} == covered
