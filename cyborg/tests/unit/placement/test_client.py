# SPDX-License-Identifier: Apache-2.0
"""Every failure is a domain error that says what was asked and what to do."""

import pytest
from keystoneauth1 import adapter, loading, session, token_endpoint

from cyborg.conf import new_config
from cyborg.domain import errors
from cyborg.placement.client import GenerationConflict, PlacementClient, Refused
from cyborg.tests.placement_fixture import PlacementFixture, Request


def test_the_first_request_needs_no_discovery(client: PlacementClient, placement: PlacementFixture) -> None:
    client.get("/resource_providers")
    assert placement.log == [Request("GET", "/resource_providers")]
    assert client.requests == 1


def test_a_refusal_carries_what_was_asked_and_what_placement_said(client: PlacementClient) -> None:
    with pytest.raises(Refused) as caught:
        client.put("/traits/NOT_OURS")
    assert "PUT /traits/NOT_OURS with 400 placement.undefined_code: " in caught.value.message
    assert (caught.value.status, caught.value.reason) == (400, "placement.undefined_code")


def test_a_stale_generation_is_a_conflict_of_its_own(client: PlacementClient, placement: PlacementFixture) -> None:
    provider = placement.create_provider("compute-1", inventories={"VCPU": {"total": 1}})
    with pytest.raises(GenerationConflict):
        client.put(f"/resource_providers/{provider}/traits", {"traits": [], "resource_provider_generation": 0})


def test_a_conflict_of_another_kind_is_a_plain_refusal(client: PlacementClient, placement: PlacementFixture) -> None:
    placement.create_provider("compute-1")
    with pytest.raises(Refused) as caught:
        client.post("/resource_providers", {"name": "compute-1"})
    assert type(caught.value) is Refused
    assert caught.value.status == 409


def test_a_closed_port_is_unavailable_in_the_words_of_the_system(
    client: PlacementClient, placement: PlacementFixture
) -> None:
    placement.down()
    with pytest.raises(errors.Unavailable, match=r"GET /traits: Connection refused\.$"):
        client.get("/traits")
    placement.up()
    assert client.get("/traits")


def test_a_server_error_is_unavailable(client: PlacementClient, placement: PlacementFixture) -> None:
    placement.answer_with = "503 Busy"
    with pytest.raises(errors.Unavailable, match="GET /traits with 503"):
        client.get("/traits")


def test_a_service_that_does_not_answer_in_time_is_unavailable(placement: PlacementFixture) -> None:
    client = PlacementClient(_adapter(placement.url, "1.39"), read_timeout=0.05)
    stuck = placement.hold()
    with pytest.raises(errors.Unavailable, match="GET /traits: "):
        client.get("/traits")
    stuck.set()


def test_an_answer_from_something_else_is_no_answer(client: PlacementClient, placement: PlacementFixture) -> None:
    placement.answer_with = "200 OK"
    with pytest.raises(errors.PlacementError, match=r"Is http://127\.0\.0\.1:\d+/traits Placement\?"):
        client.get("/traits")


def test_an_old_placement_is_named_as_the_cause(placement: PlacementFixture) -> None:
    client = PlacementClient(_adapter(placement.url, "1.99"))
    with pytest.raises(Refused, match=r"up to 1\.39.*upgrade Placement"):
        client.get("/traits")


def test_missing_credentials_are_an_error_before_the_first_request() -> None:
    conf = new_config()
    conf([], default_config_files=[])
    with pytest.raises(errors.PlacementError, match="has no auth_type"):
        PlacementClient.from_conf(conf)


def test_an_unreachable_keystone_is_unavailable(placement: PlacementFixture) -> None:
    placement.answer_with = "500 Broken"
    options = {"auth_url": placement.url, "username": "u", "password": "p", "project_name": "s"}
    domains = {"user_domain_name": "d", "project_domain_name": "d"}
    keystone = new_config()
    keystone([], default_config_files=[])
    keystone.register_opts(loading.get_auth_plugin_conf_options("v3password"), group="placement")
    for name, value in {"auth_type": "v3password", **options, **domains}.items():
        keystone.set_override(name, value, group="placement")
    with pytest.raises(errors.Unavailable):
        PlacementClient.from_conf(keystone).get("/traits")


def test_a_refusal_can_be_rebuilt_from_its_code_and_message() -> None:
    for cls in (Refused, GenerationConflict):
        assert errors.by_code()[cls.code] is cls
        assert cls("why").status == 0
    assert errors.by_code()["placement_error"] is errors.PlacementError


def _adapter(url: str, microversion: str) -> adapter.Adapter:
    auth = token_endpoint.Token(url, "admin")
    return adapter.Adapter(session.Session(auth=auth), service_type="placement", default_microversion=microversion)
