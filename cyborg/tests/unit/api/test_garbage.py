# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent to whatever route: an answer that helps, never a fault of ours, and nothing stored."""

import json
from typing import Any

import pytest
import webob

from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import COLLECTIONS, Api

UNKNOWN = "7e62f5a8-9d71-4d0c-ad8b-5f2b1e0a3c11"
GARBAGE: dict[str, Any] = {
    "no JSON": b"{",
    "nothing": b"",
    "null": None,
    "a number": 7,
    "text": "text",
    "true": True,
    "an empty object": {},
    "a list of null": [None],
    "a list of a list": [[]],
    "an object of null": {UNKNOWN: None, "attribute": None, "device_profile_name": None},
    "unknown members": {"colour": "red"},
    "5000 levels": b"[" * 5000 + b"]" * 5000,
    "5000 levels of objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "40 levels": json.loads("[" * 40 + "]" * 40),
    "NUL": {"device_profile_name": "a\0b", "deployable_id": 1, "key": "\0", "value": "\0"},
    "half a character": b'{"device_profile_name": "\\ud800", "key": "\\ud800"}',
    "no UTF-8": b'{"device_profile_name": "\xff"}',
    "no number": b'[{"name": "a", "groups": NaN}]',
    "a number without end": b"[" + b"9" * 5000 + b"]",
    "10 MB": b'["' + b"x" * 10_000_000 + b'"]',
    "a profile whose groups are text": [{"name": "a", "groups": "text"}],
    "a profile whose group is a list": [{"name": "a", "groups": [[]]}],
    "a profile whose group is empty": [{"name": "a", "groups": [{}]}],
    "a profile whose uuid is none": [{"name": "a", "uuid": "first", "groups": [{"resources:FPGA": "1"}]}],
    "a profile whose name ends in a new line": [{"name": "a\n", "groups": [{"resources:FPGA": "1"}]}],
    "a profile whose name is a number": [{"name": 1, "groups": [{"resources:FPGA": "1"}]}],
    "a profile whose name is null": [{"name": None, "groups": [{"resources:FPGA": "1"}]}],
    "a profile of a million": [{"name": "a", "groups": [{"resources:FPGA": "1000000"}]}],
    "a profile of minus one": [{"name": "a", "groups": [{"resources:FPGA": -1}]}],
    "an attribute of text": {"attribute": "text"},
    "an attribute of a huge id": {"deployable_id": 10**30, "key": "k", "value": "v"},
    "an attribute of half an id": {"deployable_id": 1.5, "key": "k", "value": "v"},
    "an attribute of a long key": {"deployable_id": 1, "key": "k" * 300, "value": "v"},
    "a patch of text": {UNKNOWN: "text"},
    "a patch of no uuid": {"first": [{"op": "add", "path": "/hostname", "value": "h"}]},
    "a program of two": [{"name": "a", "op": "add", "path": "/program", "value": [{"image_uuid": UNKNOWN}] * 2}],
}
ROUTES = (
    ("POST", "/v2/device_profiles"),
    ("POST", "/v2/accelerator_requests"),
    ("PATCH", "/v2/accelerator_requests"),
    ("PATCH", f"/v2/accelerator_requests/{UNKNOWN}"),
    ("POST", "/v2/attributes"),
    ("PATCH", f"/v2/deployables/{UNKNOWN}/program"),
    ("PATCH", f"/v2/deployables/{UNKNOWN}/program/{UNKNOWN}"),
)
#: Routes whose bodies came later, with what garbage may mean there.
LATER_ROUTES = (
    ("POST", f"/v2/devices/{UNKNOWN}/disable"),
    ("POST", f"/v2/devices/{UNKNOWN}/enable"),
    ("PATCH", "/v2/device_profiles/gpu"),
)
HOSTILE = (
    "%00",
    "%ff",
    "%27%20OR%201%3D1--",
    "a" * 300,
    "%F0%9F%98%80",
    "..%2f..%2fetc",
    "[",
    "{uuid}",
    "-1",
    "__class__",
)
FORBIDDEN = ("Traceback", 'File "', "sqlalchemy", "sqlite", "SELECT", "/site-packages/", "Error(", "cyborg.")


def check(answer: webob.Response, what: str = "") -> None:
    """The answer to ``what`` is a refusal that helps."""
    told = f"{what[:100]!r}: {answer.text[:3000]}"
    assert 400 <= answer.status_int < 500, told
    assert answer.content_type == "application/json", told
    assert answer.headers["Vary"] == "OpenStack-API-Version", told
    message = answer.json["error_message"]
    assert message, told
    assert len(message) < 2000, told
    assert not [word for word in FORBIDDEN if word in message], told


def check_bodies(api: Api, method: str, path: str, version: str | None = None) -> None:
    """One after the other: none leaves anything, so each meets what the first one met."""
    before = api.rows()
    for what, body in GARBAGE.items():
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        check(api.call(method, path, raw, service=True, version=version), what)
        assert api.rows() == before, what


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_body_that_is_garbage_is_refused(api: Api, method: str, path: str) -> None:
    api.report(builders.gpu_host("host-1"))
    check_bodies(api, method, path)


@pytest.mark.parametrize(("method", "path"), [*ROUTES, *LATER_ROUTES])
def test_a_body_that_is_garbage_is_refused_in_the_newest_version_too(api: Api, method: str, path: str) -> None:
    api.report(builders.gpu_host("host-1"))
    api.profile()
    check_bodies(api, method, path, "latest")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/devices/{}"),
        ("POST", "/v2/devices/{}/disable"),
        ("GET", "/v2/deployables/{}"),
        ("GET", "/v2/attributes/{}"),
        ("DELETE", "/v2/attributes/{}"),
        ("GET", "/v2/device_profiles/{}"),
        ("DELETE", "/v2/device_profiles/{}"),
        ("GET", "/v2/accelerator_requests/{}"),
        ("DELETE", "/v2/accelerator_requests/{}"),
        ("PATCH", "/v2/accelerator_requests/{}"),
        ("GET", "/v2/accelerators/{}"),
        ("GET", "/v2/hosts/{}"),
        ("POST", "/v2/hosts/{}/disable"),
        ("GET", "/v2/operations/{}"),
        ("GET", "/v2/{}"),
        ("GET", "/{}"),
    ],
)
def test_a_path_that_is_garbage_is_refused(api: Api, method: str, path: str) -> None:
    for text in HOSTILE:
        check(api.call(method, path.format(text), service=True), text)
        check(api.call(method, path.format(text), service=True, version="latest"), text)


@pytest.mark.parametrize(
    "query",
    [
        "devices?colour={}",
        "devices?filters.field={}&filters.value=1",
        "devices?filters.field=limit&filters.value={}",
        "attributes?deployable_id={}",
        "accelerator_requests?instance={}",
        "accelerator_requests?bind_state={}",
        "accelerator_requests?{}",
    ],
)
def test_a_query_that_is_garbage_is_refused(api: Api, query: str) -> None:
    for text in HOSTILE:
        check(api.call("GET", f"/v2/{query.format(text)}"), text)


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize("argument", ["limit", "marker", "sort_key", "sort_dir", "colour"])
def test_a_page_that_is_garbage_is_refused(api: Api, collection: str, argument: str) -> None:
    for text in HOSTILE:
        check(api.call("GET", f"/v2/{collection}?{argument}={text}", version="latest"), text)


@pytest.mark.parametrize("query", ["devices?type={}", "device_profiles?name={}", "attributes?key={}"])
def test_a_value_that_nothing_has_lists_nothing(api: Api, query: str) -> None:
    for text in [text for text in HOSTILE if text not in ("%00", "%ff")]:
        answer = api.call("GET", f"/v2/{query.format(text)}")
        refused = len(text) == 300 and "name" not in query
        assert answer.status_int == (400 if refused else 200), text
        assert len(answer.json) == 1, text


def test_text_of_any_script_comes_back_as_it_was_sent(api: Api) -> None:
    api.report(builders.gpu_host("host-1"))
    (deployable,) = {one["deployable_id"] for one in api.call("GET", "/v2/attributes").json["attributes"]}
    for text in ("Ωmega 😀", "'; DROP TABLE devices; --", "<script>", "\u202eabc", "x" * 4000, "\n\t"):
        made = api.call("POST", "/v2/attributes", {"deployable_id": deployable, "key": text[:50], "value": text})
        assert made.status_int == 201
        shown = api.call("GET", f"/v2/attributes/{made.json['uuid']}").json
        assert (shown["key"], shown["value"]) == (text[:50], text)


def test_a_body_without_a_length_is_limited_too(api: Api) -> None:
    request = webob.Request.blank("/v2/device_profiles", method="POST", headers={"X-Auth-Token": "admin"})
    request.body = b'["' + b"x" * 200_000 + b'"]'
    request.content_type = "application/json"
    request.headers.pop("Content-Length")
    request.environ["wsgi.input_terminated"] = True
    check(request.get_response(api.application))
