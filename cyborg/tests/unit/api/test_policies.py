# SPDX-License-Identifier: Apache-2.0
"""Who may do what: every persona on every route, for what is its own and for what is another project's."""

from typing import Any

import pytest
import webob
from oslo_policy import policy

from cyborg import context, policies
from cyborg.api import app
from cyborg.domain import errors
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import Api, binding, configured, fault

PERSONAS = ("reader", "member", "manager", "admin", "service", "foo")
UNKNOWN = "7e62f5a8-9d71-4d0c-ad8b-5f2b1e0a3c11"
PROFILE = [{"name": "other", "groups": [{"resources:FPGA": "1"}]}]
PROGRAM = [{"op": "replace", "path": "/program", "value": [{"image_uuid": UNKNOWN}]}]
NOTE = {"deployable_id": 1, "key": "rack", "value": "b7"}

#: Route: who may, by role. Everybody else gets 403.
MATRIX: dict[tuple[str, str, Any], set[str]] = {
    ("GET", "/v2/device_profiles", None): {"reader", "admin"},
    ("GET", f"/v2/device_profiles/{UNKNOWN}", None): {"reader", "admin"},
    ("POST", "/v2/device_profiles", str(PROFILE)): {"admin"},
    ("PATCH", "/v2/device_profiles/nothing", "description"): {"admin"},
    ("DELETE", "/v2/device_profiles/nothing", None): {"admin"},
    ("GET", "/v2/accelerator_requests", None): {"reader", "admin", "service"},
    ("GET", f"/v2/accelerator_requests/{UNKNOWN}", None): {"reader", "admin", "service"},
    ("POST", "/v2/accelerator_requests", "gpu"): {"member", "service"},
    ("DELETE", f"/v2/accelerator_requests/{UNKNOWN}", None): {"member", "admin", "service"},
    ("GET", "/v2/devices", None): {"manager", "admin"},
    ("GET", f"/v2/devices/{UNKNOWN}", None): {"manager", "admin"},
    ("POST", f"/v2/devices/{UNKNOWN}/disable", None): {"admin"},
    ("POST", f"/v2/devices/{UNKNOWN}/enable", None): {"admin"},
    ("GET", "/v2/deployables", None): {"manager", "admin"},
    ("GET", f"/v2/deployables/{UNKNOWN}", None): {"manager", "admin"},
    ("PATCH", f"/v2/deployables/{UNKNOWN}/program", str(PROGRAM)): {"admin"},
    ("GET", "/v2/attributes", None): {"manager", "admin"},
    ("GET", f"/v2/attributes/{UNKNOWN}", None): {"manager", "admin"},
    ("POST", "/v2/attributes", str(NOTE)): {"admin"},
    ("DELETE", f"/v2/attributes/{UNKNOWN}", None): {"admin"},
    ("GET", "/v2/accelerators", None): {"manager", "admin"},
    ("GET", f"/v2/accelerators/{UNKNOWN}", None): {"manager", "admin"},
    ("GET", "/v2/hosts", None): {"admin"},
    ("GET", "/v2/hosts/nothing", None): {"admin"},
    ("POST", "/v2/hosts/nothing/disable", None): {"admin"},
    ("POST", "/v2/hosts/nothing/enable", None): {"admin"},
    ("GET", "/v2/operations", None): {"admin"},
    ("GET", f"/v2/operations/{UNKNOWN}", None): {"admin"},
}
BODIES = {
    "description": {"description": "new"},
    "gpu": {"device_profile_name": "gpu"},
    str(PROFILE): PROFILE,
    str(PROGRAM): PROGRAM,
    str(NOTE): NOTE,
}


@pytest.mark.parametrize(("method", "path", "body"), MATRIX)
def test_a_persona_may_what_its_row_says(api: Api, method: str, path: str, body: str | None) -> None:
    api.report(builders.gpu_host("host-1"))
    api.profile()
    for persona in PERSONAS:
        answer = api.call(method, path, BODIES.get(body or ""), who=f"user:project:{persona}", version="latest")
        assert (answer.status_int != 403) == (persona in MATRIX[method, path, body]), f"{persona}: {answer.text}"
        if answer.status_int == 403:
            assert "cyborg:" in fault(answer), persona


@pytest.mark.parametrize(
    ("who", "from_service", "seen", "deleted"),
    [
        ("user:own:reader", False, 200, 403),
        ("user:own:member", False, 403, 204),
        ("user:own:member,reader", False, 200, 204),
        ("user:other:member,reader", False, 404, 404),
        ("user:other:manager", False, 403, 403),
        ("user:other:admin", False, 200, 204),
        ("user:other:service", False, 404, 404),
        ("user:other:member,reader", True, 200, 204),
    ],
)
def test_a_request_is_for_its_project_and_for_services(
    api: Api, who: str, from_service: bool, seen: int, deleted: int
) -> None:
    api.report(builders.gpu_host("host-1"))
    api.profile()
    (one,) = api.request(who="user:own:member")
    path = f"/v2/accelerator_requests/{one}"
    assert api.call("GET", path, who=who, service=from_service).status_int == seen
    assert api.call("DELETE", path, who=who, service=from_service).status_int == deleted


@pytest.mark.parametrize("persona", PERSONAS)
@pytest.mark.parametrize("project", ["own", "other"])
def test_whoever_calls_it_is_a_service_that_binds(api: Api, persona: str, project: str) -> None:
    api.report(builders.gpu_host("host-1"))
    api.profile()
    requests = api.request(who="user:own:member")
    body, who = binding(requests, UNKNOWN), f"user:{project}:{persona}"
    refused = api.call("PATCH", "/v2/accelerator_requests", body, who=who)
    assert refused.status_int == 403
    assert "requires a service token" in fault(refused)
    assert api.call("PATCH", "/v2/accelerator_requests", body, who=who, service=True).status_int == 202
    one = api.call("GET", f"/v2/accelerator_requests/{requests[0]}").json
    assert (one["state"], one["project_id"]) == ("Bound", "own")
    path = f"/v2/accelerator_requests?instance={UNKNOWN}"
    assert "requires a service token" in fault(api.call("DELETE", path, who=who))
    assert api.call("DELETE", path, who=who, service=True).status_int == 204
    assert api.call("GET", "/v2/accelerator_requests").json["arqs"] == []


def test_a_token_of_the_whole_system_is_refused(api: Api) -> None:
    bare = app.build(api.conf, api.store, api.conductor)
    request = webob.Request.blank("/v2/devices")
    request.headers.update({"X-User-Id": "root", "X-Roles": "admin", "OpenStack-System-Scope": "all"})
    answer = request.get_response(bare)
    assert answer.status_int == 403
    assert "token" in fault(answer)


def test_the_former_defaults_hold_where_the_operator_asks_for_them() -> None:
    conf = configured()
    enforcer = policies.Enforcer(conf)
    nobody = context.RequestContext(user_id="u", project_id="p", roles=["foo"], overwrite=False)
    with pytest.raises(errors.Forbidden, match="cyborg:arq:get_all"):
        enforcer.authorize("cyborg:arq:get_all", {"project_id": "p"}, nobody)
    conf.set_override("enforce_new_defaults", False, "oslo_policy")
    former = policies.Enforcer(conf)
    former.authorize("cyborg:arq:get_all", {"project_id": "p"}, nobody)
    for closed in ("cyborg:device_profile:create", "cyborg:device:get_all", "cyborg:device:disable"):
        with pytest.raises(errors.Forbidden):
            former.authorize(closed, {"project_id": "p"}, nobody)


def test_every_operation_says_where_it_is_served() -> None:
    operations = [rule for rule in policies.list_rules() if isinstance(rule, policy.DocumentedRuleDefault)]
    assert len(operations) == 31
    assert all(rule.operations and rule.scope_types == ["project"] for rule in operations)


def test_each_name_that_policy_files_may_use_is_defined() -> None:
    names = {rule.name for rule in policies.list_rules()}
    assert {"public_api", "allow", "deny", "default", "is_admin", "admin_or_owner", "admin_or_user"} <= names
    assert {"admin_api", "service_api", "project_reader_or_admin", "project_member_or_service"} <= names
