# SPDX-License-Identifier: Apache-2.0
"""Binding and deleting through the API: what is refused changes nothing, and how much a call costs."""

import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from cyborg import context
from cyborg.api import app
from cyborg.domain import arq
from cyborg.tests import builders, databases
from cyborg.tests.unit.api.conftest import Api, binding, fault

ARQS = "/v2/accelerator_requests"
ADD = {"op": "add", "path": "/hostname", "value": "host-1"}


@pytest.fixture
def host(api: Api) -> Api:
    """A host with two GPUs, and a profile for one."""
    api.report(builders.gpu_host("host-1", 2))
    api.profile()
    return api


def states(api: Api) -> list[str]:
    return [one["state"] for one in api.call("GET", ARQS).json["arqs"]]


def patch(api: Api, body: Any, status: int, who: str = "bob", version: str | None = None) -> str:
    answer = api.call("PATCH", ARQS, body, who=who, service=True, version=version)
    assert answer.status_int == status, answer.text
    return str(answer.json["error_message"]) if status >= 400 else ""


def changed(uuids: list[str], **values: str | None) -> dict[str, Any]:
    """A body that binds, with some values other, or absent."""
    found = binding(uuids, str(uuid.uuid4()))
    wanted = {f"/{name}": value for name, value in values.items()}
    for one, operations in found.items():
        found[one] = [
            operation | {"value": wanted.get(operation["path"], operation["value"])}
            for operation in operations
            if wanted.get(operation["path"], "") is not None
        ]
    return found


@pytest.mark.parametrize("absent", ["hostname", "device_rp_uuid", "instance_uuid"])
def test_a_binding_that_lacks_a_member_is_refused_with_its_name(host: Api, absent: str) -> None:
    assert f"/{absent}" in patch(host, changed(host.request(), **{absent: None}), 400)
    assert states(host) == ["Initial"]


@pytest.mark.parametrize("wrong", [{"device_rp_uuid": "root"}, {"instance_uuid": "server"}, {"hostname": "h" * 256}])
def test_a_value_of_the_wrong_form_is_refused(host: Api, wrong: dict[str, str]) -> None:
    patch(host, changed(host.request(), **wrong), 400)
    assert states(host) == ["Initial"]


def test_a_body_of_which_one_request_is_bad_binds_none(host: Api) -> None:
    first, second = host.request(), host.request()
    body = changed(first) | {second[0]: [ADD]}
    patch(host, body, 400)
    assert states(host) == ["Initial", "Initial"]


@pytest.mark.parametrize(
    "operations",
    [
        [],
        [ADD, ADD],
        [ADD, {"op": "remove", "path": "/instance_uuid"}],
        [{"op": "replace", "path": "/hostname", "value": "host-1"}],
        [{"op": "add", "path": "/state", "value": "Bound"}],
        [{"op": "add", "path": "/hostname"}],
        [{"op": "add", "path": "/hostname", "value": None}],
        [{"path": "/hostname"}],
        [{"op": "remove", "path": "/hostname"}],
        ["add"],
        "add",
        None,
    ],
)
def test_operations_that_mean_nothing_are_refused(host: Api, operations: Any) -> None:
    patch(host, {host.request()[0]: operations}, 400)
    assert states(host) == ["Initial"]


def test_one_body_does_not_bind_and_unbind(host: Api) -> None:
    first, second = host.request(), host.request()
    remove = [{"op": "remove", "path": operation["path"]} for operation in changed(first)[first[0]]]
    patch(host, changed(first) | {second[0]: remove}, 400)
    assert states(host) == ["Initial", "Initial"]


def test_an_unknown_request_is_not_found_and_the_known_one_stays(host: Api) -> None:
    known, unknown = host.request(), [str(uuid.uuid4())]
    assert unknown[0] in patch(host, binding(known + unknown, str(uuid.uuid4())), 404)
    assert states(host) == ["Initial"]


def test_uuids_are_accepted_without_dashes(host: Api) -> None:
    (one,) = host.request()
    patch(host, binding([one.replace("-", "").upper()], str(uuid.uuid4())), 202)
    assert states(host) == ["Bound"]


def test_an_instance_is_bound_in_one_call(host: Api) -> None:
    instance = host.bind(host.request())
    assert instance in patch(host, binding(host.request(), instance), 400)
    assert sorted(states(host)) == ["Bound", "Initial"]


def test_a_bound_request_cannot_be_bound_elsewhere(host: Api) -> None:
    requests = host.request()
    host.bind(requests)
    patch(host, binding(requests, str(uuid.uuid4())), 409)


def test_a_host_that_has_nothing_left_refuses_at_once(host: Api) -> None:
    host.bind(host.request())
    host.bind(host.request())
    patch(host, binding(host.request(), str(uuid.uuid4())), 409)
    assert sorted(states(host)) == ["Bound", "Bound", "Initial"]


@pytest.mark.parametrize("wrong", [{"hostname": "host-9"}, {"device_rp_uuid": str(uuid.uuid4())}])
def test_an_unknown_host_or_provider_is_not_found_and_nothing_is_half_bound(host: Api, wrong: dict[str, str]) -> None:
    patch(host, changed(host.request(), **wrong), 404)
    assert states(host) == ["Initial"]


def test_the_project_is_for_administrators_from_version_one_on(host: Api) -> None:
    (one,) = host.request()
    body = changed([one])
    body[one] = [*body[one], {"op": "add", "path": "/project_id", "value": "bob"}]
    patch(host, body, 406, who="admin")
    patch(host, body, 403, version="accelerator 2.1")
    patch(host, body, 202, who="admin", version="accelerator 2.1")
    assert host.call("GET", f"{ARQS}/{one}").json["project_id"] == "bob"


def test_a_stranger_without_a_service_token_finds_nothing_to_delete(host: Api) -> None:
    (one,) = host.request()
    assert host.call("DELETE", f"{ARQS}/{one}", who="eve").status_int == 404
    assert states(host) == ["Initial"]


def test_a_bound_request_stops_a_delete_without_a_service_token_before_anything_goes(host: Api) -> None:
    bound, free = host.request(), host.request()
    host.bind(bound)
    answer = host.call("DELETE", f"{ARQS}?arqs={free[0]},{bound[0]}", who="bob")
    assert answer.status_int == 403
    assert "requires a service token" in fault(answer)
    assert sorted(states(host)) == ["Bound", "Initial"]


def test_what_is_not_resolved_is_locked(host: Api) -> None:
    (one,) = host.request()
    instance = host.bind([one])
    with host.store.transaction() as tx:
        tx.exec_driver_sql("UPDATE arqs SET state = 'BindStarted'")
    answer = host.call("GET", f"{ARQS}?instance={instance}&bind_state=resolved")
    assert answer.status_int == 423
    assert one in fault(answer)
    assert host.call("GET", f"{ARQS}?bind_state=resolved").json["arqs"] == []


def test_an_unshown_profile_may_be_deleted_while_it_is_used(host: Api) -> None:
    host.bind(host.request())
    assert host.call("DELETE", "/v2/device_profiles/gpu").status_int == 204
    assert states(host) == ["Bound"]


def test_a_profile_counts_its_accelerators_by_group(host: Api) -> None:
    groups = [
        {"resources:CUSTOM_ACCELERATOR": "3"},
        {"resources:FPGA": "1", "resources:CUSTOM_ACCELERATOR_MEMORY_X": "9"},
    ]
    host.call("POST", "/v2/device_profiles", [{"name": "many", "groups": groups}])
    arqs = host.call("POST", ARQS, {"device_profile_name": "many"}).json["arqs"]
    assert [one["device_profile_group_id"] for one in arqs] == [0, 0, 0, 1]


class QuietConductor:
    """Takes every order and does nothing: what is counted is the API's own."""

    def bind(self, caller: context.RequestContext, bindings: Sequence[arq.Binding]) -> None:
        """As if done."""


def test_a_patch_costs_the_api_one_statement_however_many_it_binds(host: Api) -> None:
    application = app.load(host.conf, host.store, QuietConductor())  # type: ignore[arg-type]
    quiet = Api.__new__(Api)
    quiet.application = application
    requests = [one for _ in range(20) for one in host.request()]
    with databases.recorded(host.store) as statements:
        patch(quiet, binding(requests, str(uuid.uuid4())), 202)
    assert len(statements) == 1, statements


@pytest.mark.parametrize(
    "collection", ["devices", "deployables", "attributes", "device_profiles", "accelerator_requests"]
)
def test_a_list_is_one_statement_however_long(host: Api, collection: str) -> None:
    for _ in range(5):
        host.request()
    with databases.recorded(host.store) as statements:
        assert host.call("GET", f"/v2/{collection}").status_int == 200
    assert len(statements) == 1, statements
