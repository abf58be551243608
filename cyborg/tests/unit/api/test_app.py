# SPDX-License-Identifier: Apache-2.0
"""How the application is put together, and where its links lead."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import webob
from keystoneauth1 import loading
from keystonemiddleware import auth_token
from oslo_config import cfg

from cyborg.api import app
from cyborg.conf import api as options
from cyborg.domain import errors
from cyborg.store import schema
from cyborg.store.engine import Store
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import Api, configured, fault

#: What operators of the former service have in /etc.
FORMER_PASTE = """
[pipeline:main]
pipeline = cors http_proxy_to_wsgi request_id authtoken api_v2
[app:api_v2]
paste.app_factory = cyborg.api.app:app_factory
[filter:authtoken]
acl_public_routes = /, /v2
paste.filter_factory = cyborg.api.middleware.auth_token:AuthTokenMiddleware.factory
[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory
[filter:cors]
paste.filter_factory = oslo_middleware.cors:filter_factory
oslo_config_project = cyborg
[filter:http_proxy_to_wsgi]
paste.filter_factory = oslo_middleware.http_proxy_to_wsgi:HTTPProxyToWSGI.factory
"""


def link(api: Api, conf: cfg.ConfigOpts | None = None, *, script: str = "", path: str = "/v2/devices") -> str:
    api.report(builders.gpu_host("host-1"))
    application = app.load(conf or api.conf, api.store, api.conductor)
    request = webob.Request.blank(path, base_url=f"http://cloud:6666{script}", headers={"X-Auth-Token": "admin"})
    device = request.get_response(application).json["devices"][0]
    return str(device["links"][0]["href"].removesuffix(device["uuid"]))


def test_links_lead_to_where_the_request_came_from(api: Api) -> None:
    assert link(api) == "http://cloud:6666/v2/devices/"


def test_links_lead_through_the_mount_point(api: Api) -> None:
    assert link(api, script="/accelerator") == "http://cloud:6666/accelerator/v2/devices/"


def test_links_of_the_alias_keep_it(api: Api) -> None:
    assert link(api, path="/accelerator/v2/devices") == "http://cloud:6666/accelerator/v2/devices/"


@pytest.mark.parametrize(
    ("public", "script", "expected"),
    [
        ("https://api.example", "", "https://api.example/v2/devices/"),
        ("https://api.example/", "/accelerator", "https://api.example/accelerator/v2/devices/"),
        ("https://api.example/cyborg", "/accelerator", "https://api.example/cyborg/v2/devices/"),
    ],
)
def test_links_lead_to_the_public_endpoint(api: Api, public: str, script: str, expected: str) -> None:
    assert link(api, configured(public_endpoint=public), script=script) == expected


def test_links_can_be_followed(api: Api) -> None:
    api.report(builders.gpu_host("host-1"))
    for path in ("/v2/devices", "/accelerator/v2/devices"):
        href = api.call("GET", path).json["devices"][0]["links"][0]["href"]
        assert api.call("GET", href.removeprefix("http://cloud:6666")).json["hostname"] == "host-1"


def test_a_proxy_is_believed_when_the_operator_says_so(api: Api) -> None:
    conf = configured()
    app.load(conf, api.store, api.conductor)
    conf.set_override("enable_proxy_headers_parsing", True, "oslo_middleware")
    application = app.load(conf, api.store, api.conductor)
    request = webob.Request.blank("/v2", headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example"})
    assert request.get_response(application).json["links"][0]["href"] == "https://api.example/v2/"


def test_a_browser_may_ask_from_an_allowed_origin(api: Api) -> None:
    conf = configured()
    app.load(conf, api.store, api.conductor)
    conf.set_override("allowed_origin", ["http://dashboard"], "cors")
    application = app.load(conf, api.store, api.conductor)
    request = webob.Request.blank("/v2", headers={"Origin": "http://dashboard"})
    answer = request.get_response(application)
    assert answer.headers["Access-Control-Allow-Origin"] == "http://dashboard"
    assert "OpenStack-API-Version" in answer.headers["Access-Control-Expose-Headers"]


def test_a_browser_may_send_what_the_api_reads_and_sees_errors_too(api: Api) -> None:
    conf = configured()
    app.load(conf, api.store, api.conductor)
    conf.set_override("allowed_origin", ["http://dashboard"], "cors")
    application = app.load(conf, api.store, api.conductor)
    wanted = "x-auth-token, openstack-api-version, if-match, content-type"
    asked = {"Origin": "http://dashboard", "Access-Control-Request-Method": "PATCH"}
    before = webob.Request.blank(
        "/v2/device_profiles/x", method="OPTIONS", headers=asked | {"Access-Control-Request-Headers": wanted}
    )
    answer = before.get_response(application)
    assert answer.status_int == 200
    assert answer.headers["Access-Control-Allow-Methods"] == "PATCH"
    assert {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")} >= set(
        wanted.split(", ")
    )
    for path, status in (("/v2/devices", 401), ("/v2/nothing", 401)):
        refused = webob.Request.blank(path, headers={"Origin": "http://dashboard"}).get_response(application)
        assert (refused.status_int, refused.headers["Access-Control-Allow-Origin"]) == (status, "http://dashboard")


def test_the_paste_file_of_the_former_service_still_loads(api: Api, tmp_path: Path) -> None:
    paste = tmp_path / "api-paste.ini"
    paste.write_text(FORMER_PASTE)
    application = app.load(configured(api_paste_config=str(paste)), api.store, api.conductor)
    for path, status in (("/", 200), ("/v2", 200), ("/v2/devices", 401)):
        assert webob.Request.blank(path).get_response(application).status_int == status


def test_a_paste_file_that_is_missing_is_named(api: Api) -> None:
    with pytest.raises(errors.Unavailable, match="api_paste_config"):
        app.load(configured(api_paste_config="/nowhere/api-paste.ini"), api.store, api.conductor)


def test_keystone_is_asked_unless_the_operator_says_otherwise(api: Api) -> None:
    conf = configured(auth_strategy="keystone")
    for group, opts in auth_token.list_opts():
        conf.register_opts(opts, group=group)
    conf.set_override("www_authenticate_uri", "http://keystone", "keystone_authtoken")
    application = app.load(conf, api.store, api.conductor)
    assert conf.keystone_authtoken.service_token_roles_required
    answer = webob.Request.blank("/v2/devices").get_response(application)
    assert answer.status_int == 401
    assert answer.headers["WWW-Authenticate"] == 'Keystone uri="http://keystone"'
    assert webob.Request.blank("/v2").get_response(application).status_int == 200


def test_a_keystone_that_is_away_is_a_reason_to_try_again_in_the_form_of_every_error(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OS_KEYSTONE_AUTHTOKEN__")]:
        monkeypatch.delenv(name)
    conf = configured(auth_strategy="keystone")
    for group, opts in auth_token.list_opts():
        conf.register_opts(opts, group=group)
    loading.register_auth_conf_options(conf, "keystone_authtoken")
    (tmp_path / "cyborg.conf").write_text(
        "[keystone_authtoken]\nauth_type = password\nauth_url = http://127.0.0.1:9\nusername = cyborg\npassword = p\n"
        "project_name = service\nuser_domain_id = default\nproject_domain_id = default\nhttp_request_max_retries = 0\n"
    )
    conf([], default_config_files=[str(tmp_path / "cyborg.conf")])
    application = app.load(conf, api.store, api.conductor)
    answer = webob.Request.blank("/v2/devices", headers={"X-Auth-Token": "any"}).get_response(application)
    assert (answer.status_int, answer.content_type) == (503, "application/json")
    assert fault(answer) == "Keystone does not answer, so the token cannot be checked; try again shortly."


def test_a_caller_cannot_say_itself_who_it_is(api: Api) -> None:
    forged = {"X-Roles": "admin", "X-Project-Id": "admin", "X-Service-Identity-Status": "Confirmed"}
    path = "/v2/accelerator_requests?instance=7e62f5a8-9d71-4d0c-ad8b-5f2b1e0a3c11"
    answer = api.call("DELETE", path, who="eve", headers=forged)
    assert answer.status_int == 403
    assert api.call("GET", "/v2/devices", who="eve", headers=forged).status_int == 403


@pytest.mark.parametrize(
    ("address", "strategy", "beyond", "exposed"),
    [
        ("127.0.0.1", "noauth", False, False),
        ("127.8.0.1", "noauth", False, False),
        ("::1", "noauth", False, False),
        ("localhost", "noauth", False, False),
        ("192.0.2.1", "noauth", False, True),
        ("127.example", "noauth", False, True),
        ("192.0.2.1", "noauth", True, False),
        ("192.0.2.1", "keystone", False, False),
    ],
)
def test_noauth_stays_on_this_machine(address: str, strategy: str, beyond: bool, exposed: bool) -> None:
    conf = configured(auth_strategy=strategy, noauth_beyond_loopback=beyond)
    assert options.exposes_noauth(conf, address) is exposed


@pytest.mark.parametrize(
    ("remote", "beyond", "status"),
    [
        ("127.0.0.1", False, 200),
        ("::1", False, 200),
        ("::ffff:127.0.0.1", False, 200),
        ("", False, 200),
        ("192.0.2.1", False, 403),
        ("::ffff:192.0.2.1", False, 403),
        ("192.0.2.1", True, 200),
    ],
)
def test_with_noauth_callers_elsewhere_are_refused_by_whatever_server(
    api: Api, remote: str, beyond: bool, status: int
) -> None:
    application = app.load(configured(noauth_beyond_loopback=beyond), api.store, api.conductor)
    request = webob.Request.blank("/v2/devices", headers={"X-Auth-Token": "admin"}, environ={"REMOTE_ADDR": remote})
    answer = request.get_response(application)
    assert answer.status_int == status
    if status == 403:
        assert "same machine" in fault(answer)


SERVER = """
import json, webob
from cyborg.wsgi.api import application
answer = webob.Request.blank("/v2/devices", headers={"X-Auth-Token": "admin"}).get_response(application)
print(json.dumps([answer.status_int, answer.json]))
"""


def test_the_wsgi_module_reads_files_and_not_the_servers_command_line(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/cyborg.db")
    schema.upgrade(store)
    store.dispose()
    settings = [
        "[DEFAULT]",
        "transport_url = fake://",
        "[database]",
        f"connection = sqlite:///{tmp_path}/cyborg.db",
        "[api]",
        "auth_strategy = noauth",
    ]
    (tmp_path / "cyborg.conf").write_text("\n".join(settings))
    done = subprocess.run(
        [sys.executable, "-c", SERVER, "--bind", "0.0.0.0:80", "--workers=4"],
        env=os.environ | {"OS_CYBORG_CONFIG_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [200, {"devices": []}]
