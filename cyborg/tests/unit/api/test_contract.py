# SPDX-License-Identifier: Apache-2.0
"""What clients may send beside what most of them send: each line is a request that once was refused, or believed."""

import uuid
from typing import Any

import pytest
import webob
from keystonemiddleware import auth_token

from cyborg.api import app
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import Api, binding, configured, fault

ARQS = "/v2/accelerator_requests"
PROFILES = "/v2/device_profiles"
NEWEST = "accelerator latest"


@pytest.fixture
def host(api: Api) -> Api:
    """A host with two GPUs, and a profile for one."""
    api.report(builders.gpu_host("host-1", 2))
    api.profile()
    return api


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("Application/JSON;charset=UTF-8, text/plain", 200),
        ("text/html, application/json;charset=utf-8;q=0.5", 200),
        ("", 200),
        ("application/json; charset=utf-8; q=0", 406),
        ("application/xml; charset=utf-8", 406),
        ("application/json;q=0, text/html", 406),
    ],
)
def test_json_is_json_with_or_without_a_charset(api: Api, accept: str, status: int) -> None:
    assert api.call("GET", "/v2/devices", headers={"Accept": accept}).status_int == status


@pytest.mark.parametrize("value", [None, "", 5, "host-1", "x" * 300])
def test_what_a_remove_says_beside_its_path_means_nothing(host: Api, value: object) -> None:
    (one,) = host.request()
    instance = host.bind([one])
    patch = [{"op": "remove", "path": change["path"], "value": value} for change in binding([one], instance)[one]]
    answer = host.call("PATCH", ARQS, {one: patch}, who="bob", service=True)
    assert answer.status_int == 202, answer.text
    assert host.call("GET", f"{ARQS}/{one}", who="bob").json["state"] == "Unbound"


@pytest.mark.parametrize("verb", ["disable", "enable"])
@pytest.mark.parametrize("version", [None, "accelerator 2.3", "accelerator 2.9", NEWEST])
def test_a_device_is_switched_without_a_body_by_way_of_a_server_that_does_not_know_its_length(
    host: Api, verb: str, version: str | None
) -> None:
    """gunicorn, which says of every body that it ends by itself, when curl sends neither a length nor a type."""
    (device, *_) = host.call("GET", "/v2/devices").json["devices"]
    request = webob.Request.blank(f"/v2/devices/{device['uuid']}/{verb}", method="POST")
    request.headers["X-Auth-Token"] = "admin"
    if version:
        request.headers["OpenStack-API-Version"] = version
    request.environ["wsgi.input_terminated"] = True
    assert request.content_length is None
    assert request.get_response(host.application).status_int == 204


def test_a_body_of_unknown_length_and_no_type_is_not_overlooked(host: Api) -> None:
    (device, *_) = host.call("GET", "/v2/devices").json["devices"]
    request = webob.Request.blank(f"/v2/devices/{device['uuid']}/disable", method="POST")
    request.headers.update({"X-Auth-Token": "admin", "OpenStack-API-Version": NEWEST})
    request.body = b'{"dry_run": true}'
    request.content_length = None
    request.environ["wsgi.input_terminated"] = True
    answer = request.get_response(host.application)
    assert (answer.status_int, "Content-Type" in fault(answer)) == (400, True)


@pytest.mark.parametrize(
    ("names", "tag", "status"), [("gpu", '"7"', 409), ("gpu,other", '"0"', 400), ("gpu", '"0"', 204), ("gpu", "*", 204)]
)
def test_a_condition_on_a_delete_by_query_is_heard(host: Api, names: str, tag: str, status: int) -> None:
    host.profile("other")
    answer = host.call("DELETE", f"{PROFILES}?value={names}", version=NEWEST, headers={"If-Match": tag})
    assert answer.status_int == status
    left = {one["name"] for one in host.call("GET", PROFILES).json["device_profiles"]}
    assert left == ({"other"} if status == 204 else {"gpu", "other"})


def token(user: str, role: str) -> dict[str, Any]:
    """As Keystone describes one."""
    domain = {"id": "default", "name": "Default"}
    named = {"id": user, "name": user, "domain": domain}
    times = {"issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": "2999-01-01T00:00:00.000000Z"}
    return {"token": {"user": named, "project": named, "roles": [{"id": role, "name": role}], **times}}


@pytest.mark.parametrize(("role", "status"), [("service", 204), ("member", 403)])
def test_a_service_token_is_one_of_a_service_though_the_operator_does_not_require_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, role: str, status: int
) -> None:
    known = {"user": token("bob", "member"), "service": token("nova", role)}
    monkeypatch.setattr(auth_token.AuthProtocol, "fetch_token", lambda _self, name, **_unused: known[name])
    conf = configured(auth_strategy="keystone")
    for group, options in auth_token.list_opts():
        conf.register_opts(options, group=group)
    conf.set_override("service_token_roles_required", False, "keystone_authtoken")
    request = webob.Request.blank(f"{ARQS}?instance={uuid.uuid4()}", method="DELETE")
    request.headers.update({"X-Auth-Token": "user", "X-Service-Token": "service"})
    answer = request.get_response(app.load(conf, api.store, api.conductor))
    assert answer.status_int == status, answer.text
