# SPDX-License-Identifier: Apache-2.0
"""Every accelerator method of openstacksdk against a service of its own."""

import uuid
from collections.abc import Iterator
from typing import Any

import openstack
import pytest
from openstack import exceptions
from openstack.accelerator.v2 import _proxy

from cyborg.tests.functional import standalone
from cyborg.tests.functional.worlds import CARDS, HOST, World

#: It warns of what it calls in itself.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
GROUP = {"resources:CUSTOM_ACCELERATOR": "1", f"trait:{standalone.GPU_TRAIT}": "required"}
METHODS = {
    "accelerator_requests",
    "attributes",
    "create_accelerator_request",
    "create_attribute",
    "create_device_profile",
    "delete_accelerator_request",
    "delete_attribute",
    "delete_device_profile",
    "deployables",
    "device_profiles",
    "devices",
    "disable_device",
    "enable_device",
    "get_accelerator_request",
    "get_attribute",
    "get_deployable",
    "get_device",
    "get_device_profile",
    "patch_accelerator_request",
    "patch_deployable",
    "update_accelerator_request",
    # Calls itself without end, and never the service.
    "update_deployable",
    # Ask again and again with get_... what the tests ask once.
    "wait_for_delete",
    "wait_for_status",
}


def connect(world: World, **more: Any) -> Any:
    """The accelerator service, where the catalog has it, or where it is where there is none."""
    return openstack.connect(load_yaml_config=False, load_envvars=False, **world.credentials, **more).accelerator


@pytest.fixture(scope="module")
def accelerator(world: World) -> Any:
    """As a service that passes an administrator's calls on."""
    found = connect(world, accelerator_default_microversion="2.3")
    found.additional_headers["X-Service-Token"] = world.service_token
    return found


@pytest.fixture
def profile(accelerator: Any) -> Iterator[Any]:
    made = accelerator.create_device_profile(name=f"gpu-{uuid.uuid4().hex[:8]}", groups=[GROUP])
    yield made
    accelerator.delete_device_profile(made.uuid)


@pytest.fixture
def request_uuid(accelerator: Any, profile: Any) -> Iterator[str]:
    made = accelerator.create_accelerator_request(device_profile_name=profile.name)
    yield made.uuid
    accelerator.delete_accelerator_request(made.uuid)


def test_no_method_is_left_out() -> None:
    own = {name for name, value in vars(_proxy.Proxy).items() if callable(value) and not name.startswith("_")}
    assert own == METHODS


def test_devices_are_listed_shown_disabled_and_enabled(accelerator: Any) -> None:
    devices = list(accelerator.devices())
    assert [(one.hostname, one.type, one.status) for one in devices] == [(HOST, "GPU", "enabled")] * CARDS
    accelerator.disable_device(devices[0].uuid)
    assert accelerator.get_device(devices[0].uuid).status == "maintaining"
    accelerator.enable_device(devices[0].uuid)
    assert accelerator.get_device(devices[0].uuid).status == "enabled"
    assert [one.uuid for one in accelerator.devices(hostname="elsewhere")] == []


def test_deployables_are_listed_shown_and_asked_to_be_programmed(accelerator: Any) -> None:
    one = next(accelerator.deployables())
    assert accelerator.get_deployable(one.id).name == one.name
    patch = [{"op": "replace", "path": "/program", "value": [{"image_uuid": str(uuid.uuid4())}]}]
    with pytest.raises(exceptions.ConflictException, match="cannot be programmed"):
        accelerator.patch_deployable(one.id, patch)


def test_profiles_are_made_listed_shown_by_uuid_and_name_and_deleted(accelerator: Any, profile: Any) -> None:
    assert [one.groups for one in accelerator.device_profiles(name=profile.name)] == [[GROUP]]
    assert accelerator.get_device_profile(profile.uuid).groups == [GROUP]
    assert accelerator.get_device_profile(profile.name).uuid == profile.uuid
    with pytest.raises(exceptions.NotFoundException):
        accelerator.delete_device_profile("no-such-profile", ignore_missing=False)
    with pytest.raises(exceptions.ConflictException, match=profile.name):
        accelerator.create_device_profile(name=profile.name, groups=[GROUP])


def test_attributes_are_made_listed_shown_and_deleted(accelerator: Any) -> None:
    deployable = next(accelerator.attributes()).deployable_id
    made = accelerator.create_attribute(deployable_id=deployable, key="rack", value="b7")
    assert accelerator.get_attribute(made.uuid).value == "b7"
    assert made.uuid in [one.uuid for one in accelerator.attributes(deployable_id=deployable, key="rack")]
    accelerator.delete_attribute(made.uuid)
    with pytest.raises(exceptions.NotFoundException):
        accelerator.get_attribute(made.uuid)


@pytest.mark.parametrize("method", ["patch_accelerator_request", "update_accelerator_request"])
def test_requests_are_made_bound_unbound_and_deleted(
    world: World, accelerator: Any, request_uuid: str, method: str
) -> None:
    instance = str(uuid.uuid4())
    values = {"hostname": HOST, "device_rp_uuid": world.provider, "instance_uuid": instance}
    patch = getattr(accelerator, method)
    patch(request_uuid, [{"op": "add", "path": f"/{name}", "value": value} for name, value in values.items()])
    bound = accelerator.get_accelerator_request(request_uuid)
    assert (bound.state, bound.attach_handle_type, bound.attach_handle_info["domain"]) == ("Bound", "PCI", "0000")
    assert [one.uuid for one in accelerator.accelerator_requests(instance=instance)] == [request_uuid]
    patch(request_uuid, [{"op": "remove", "path": f"/{name}"} for name in values])
    assert accelerator.get_accelerator_request(request_uuid).state == "Unbound"


def test_without_a_service_token_a_bind_is_refused_in_words_that_the_sdk_shows(world: World, request_uuid: str) -> None:
    patch = [
        {"op": "add", "path": f"/{name}", "value": str(uuid.uuid4())}
        for name in ("hostname", "device_rp_uuid", "instance_uuid")
    ]
    with pytest.raises(exceptions.ForbiddenException, match="requires a service token"):
        connect(world).patch_accelerator_request(request_uuid, patch)


@pytest.mark.parametrize("microversion", [None, "2.4"])
def test_a_list_of_several_pages_is_read_to_its_end(world: World, microversion: str | None) -> None:
    accelerator = connect(world, accelerator_default_microversion=microversion)
    pages = {"limit": 1} if microversion else {}
    assert len({one.uuid for one in accelerator.devices(**pages)}) == CARDS
    assert len({one.id for one in accelerator.deployables(**pages)}) == CARDS


def test_a_url_with_the_version_leads_to_the_service_too(world: World) -> None:
    found = connect(world, accelerator_endpoint_override=f"{world.url}/v2")
    assert [one.hostname for one in found.devices()] == [HOST] * CARDS
