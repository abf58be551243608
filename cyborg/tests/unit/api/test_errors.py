# SPDX-License-Identifier: Apache-2.0
"""Every error has its status, and none tells more than it should."""

import json
import logging
from typing import NoReturn

import pytest

from cyborg.api import errors as api_errors
from cyborg.domain import errors
from cyborg.rpc.conductor import ConductorClient
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import Api, fault

EXPECTED = {
    errors.InvalidRequest: 400,
    errors.AlreadyBound: 400,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.NotAcceptable: 406,
    errors.Conflict: 409,
    errors.AlreadyExists: 409,
    errors.InUse: 409,
    errors.WrongState: 409,
    errors.NoAccelerator: 409,
    errors.NotResolved: 423,
    errors.Unavailable: 503,
    errors.CyborgError: 500,
    errors.DriverError: 500,
    ValueError: 500,
}


@pytest.mark.parametrize(("cls", "status"), EXPECTED.items())
def test_each_class_has_its_status(cls: type[Exception], status: int) -> None:
    assert api_errors.status_of(cls("words")) == status


@pytest.mark.parametrize("error", [ValueError("secret"), errors.CyborgError("secret"), errors.PlacementError("secret")])
def test_what_was_not_meant_for_callers_is_not_shown(error: Exception) -> None:
    body = json.loads(api_errors.body_of(error, "req-1"))
    inner = json.loads(body["error_message"])
    assert inner["faultcode"] == "Server"
    assert "secret" not in inner["faultstring"]
    assert "req-1" in inner["faultstring"]


class Broken(ConductorClient):
    """Raises what it is told to."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def set_device_status(self, *_: object, **_options: object) -> NoReturn:
        raise self.error


def test_a_failure_inside_is_logged_with_its_trace_and_answered_without(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Api(api.conf, api.store, Broken(RuntimeError("/etc/secret")))
    with caplog.at_level(logging.ERROR):
        answer = broken.call("POST", "/v2/devices/7e62f5a8-9d71-4d0c-ad8b-5f2b1e0a3c11/disable")
    assert answer.status_int == 500
    assert answer.content_type == "application/json"
    assert answer.headers["OpenStack-API-Version"] == "accelerator 2.0"
    assert answer.headers["x-openstack-request-id"] in fault(answer)
    assert "secret" not in answer.text
    assert "RuntimeError: /etc/secret" in caplog.text


@pytest.mark.parametrize("name", ["", None, "a" * 300])
def test_mistakes_for_which_clients_pin_a_servers_fault_leave_no_trace_in_the_log(
    api: Api, caplog: pytest.LogCaptureFixture, name: str | None
) -> None:
    profile = {"groups": [{"resources:FPGA": "1"}], **({} if name is None else {"name": name})}
    with caplog.at_level(logging.DEBUG):
        answer = api.call("POST", "/v2/device_profiles", [profile])
    assert answer.status_int == 500
    assert "Traceback" not in caplog.text


def test_a_conductor_that_is_away_is_a_reason_to_try_again(api: Api) -> None:
    broken = Api(api.conf, api.store, Broken(errors.Unavailable("The conductor does not answer.")))
    answer = broken.call("POST", "/v2/devices/7e62f5a8-9d71-4d0c-ad8b-5f2b1e0a3c11/enable")
    assert (answer.status_int, fault(answer)) == (503, "The conductor does not answer.")


def test_an_error_is_json_twice_as_clients_parse_it(api: Api) -> None:
    api.report(builders.gpu_host("host-1"))
    answer = api.call("GET", "/v2/devices/7e62f5a8-9d71-4d0c-ad8b-5f2b1e0a3c11")
    assert set(answer.json) == {"error_message"}
    inner = json.loads(answer.json["error_message"])
    assert list(inner) == ["faultcode", "faultstring", "debuginfo"]
    assert (inner["faultcode"], inner["debuginfo"]) == ("Client", None)


def test_what_the_router_says_is_plain(api: Api) -> None:
    for method, path, status in (("GET", "/v2/nothing", 404), ("PUT", "/v2/devices", 405)):
        answer = api.call(method, path)
        assert answer.status_int == status
        with pytest.raises(ValueError, match="Expecting value"):
            json.loads(answer.json["error_message"])
