# SPDX-License-Identifier: Apache-2.0
"""Any text, on any route: refused with a reason, or stored and given back as it came; and no row can break a list.

CYBORG_TEST_EXAMPLES=100 sends so many texts to each route; by default a few, the same in every run.
"""

import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
import sqlalchemy
import webob
from hypothesis import strategies

from cyborg.store import columns, models
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import COLLECTIONS, OLDEST_COLLECTIONS, Api, binding
from cyborg.tests.unit.api.test_garbage import check

ODD = (
    "Ωmega 😀 é e\u0301",
    "'; DROP TABLE devices; --",
    '" OR ""="',
    "%s %(name)s {uuid} ${HOME}",
    "<script>alert(1)</script>",
    "\u202eright to left\u200b",
    "\n\r\t\x0b\x1b[31m",
    "null",
    "",
    " ",
    "x" * 255,
    "a\0b",
    "../../etc/passwd",
    '{"a": [1]}',
)
HOSTILE = strategies.one_of(
    strategies.sampled_from((*ODD, "x" * 300, "é" * 300, "\ud800")),
    strategies.text(strategies.characters(codec="utf-8"), max_size=40),
)
#: What else may stand where text is expected.
ANYTHING = strategies.recursive(
    strategies.one_of(strategies.none(), strategies.booleans(), strategies.integers(), HOSTILE),
    lambda deeper: strategies.one_of(
        strategies.lists(deeper, max_size=3), strategies.dictionaries(HOSTILE, deeper, max_size=3)
    ),
    max_leaves=8,
)
SETTINGS = hypothesis.settings(
    max_examples=int(os.environ.get("CYBORG_TEST_EXAMPLES", "8")),
    derandomize=True,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
PINNED = ("needs a name", "at most 255 are allowed")
UNKNOWN = "7e62f5a8-9d71-4d0c-ad8b-5f2b1e0a3c11"


def profile(text: Any) -> Any:
    return [{"name": "p", "description": text, "groups": [{"resources:FPGA": "1", "accel:function_name": text}]}]


def named(text: Any) -> Any:
    return [{"name": text, "groups": [{"resources:FPGA": "1"}]}]


def keyed(text: Any) -> Any:
    return [{"name": "k", "groups": [{"resources:FPGA": "1", f"accel:{text}": "1"}]}]


def note(text: Any) -> Any:
    return {"key": text, "value": text}


BODIES: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "a profile's texts": ("POST", "device_profiles", profile),
    "a profile's name": ("POST", "device_profiles", named),
    "a profile's key": ("POST", "device_profiles", keyed),
    "an attribute": ("POST", "attributes", note),
    "a wrapped attribute": ("POST", "attributes", lambda text: {"attribute": note(text)}),
    "the profile of a request": ("POST", "accelerator_requests", lambda text: {"device_profile_name": text}),
    "the host of a binding": ("PATCH", "accelerator_requests", lambda text: binding([UNKNOWN], UNKNOWN, text)),
    "the provider of a binding": (
        "PATCH",
        "accelerator_requests",
        lambda text: binding([UNKNOWN], UNKNOWN, provider=text),
    ),
    "the request of a binding": ("PATCH", "accelerator_requests", lambda text: binding([f"{text}"], UNKNOWN)),
    "an image": (
        "PATCH",
        f"deployables/{UNKNOWN}/program",
        lambda text: [{"op": "replace", "path": "/program", "value": [{"image_uuid": text}]}],
    ),
    "the whole body": ("POST", "device_profiles", lambda text: text),
    "the whole body of a binding": ("PATCH", "accelerator_requests", lambda text: text),
}


def texts_of(value: Any) -> list[str]:
    """Every text in ``value``, keys too."""
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts_of(part)]
    if isinstance(value, list):
        return [text for part in value for text in texts_of(part)]
    return [value] if isinstance(value, str) else []


def check_refused(answer: webob.Response) -> None:
    if answer.status_int == 500:
        assert any(words in answer.text for words in PINNED), answer.text
    else:
        check(answer)


@pytest.mark.parametrize("what", BODIES)
def test_text_in_a_body_is_refused_or_comes_back_as_it_was_sent(api: Api, what: str) -> None:
    api.report(builders.gpu_host("host-1"))
    deployable = api.call("GET", "/v2/attributes").json["attributes"][0]["deployable_id"]
    method, path, make = BODIES[what]

    @SETTINGS
    @hypothesis.given(text=ANYTHING)
    def holds(text: Any) -> None:
        body = make(text)
        if path == "attributes":
            body.get("attribute", body)["deployable_id"] = deployable
        before = api.rows()
        answer = api.call(method, f"/v2/{path}", json.dumps(body).encode(), service=True)
        if answer.status_int != 201:
            check_refused(answer)
            assert api.rows() == before
            return
        one = f"/v2/{path}/{answer.json['uuid']}"
        shown = api.call("GET", one).json
        stored = texts_of(shown.get("device_profile", shown))
        assert not [wanted for wanted in texts_of(body) if wanted not in (*stored, "attribute", "deployable_id")]
        assert api.call("DELETE", one).status_int == 204

    holds()


@pytest.mark.parametrize(
    "query",
    [
        "devices?type={}",
        "devices?vendor={}",
        "devices?hostname={}",
        "devices?filters.field=name&filters.value={}",
        "devices?{}=1",
        "deployables?filters.field=name&filters.value={}",
        "deployables?filters.field={}&filters.value=1",
        "attributes?key={}",
        "attributes?deployable_id={}",
        "device_profiles?name={}",
        "device_profiles/{}",
        "accelerator_requests?instance={}",
        "accelerator_requests?bind_state={}",
        "accelerator_requests/{}",
        "hosts?name={}",
        "hosts/{}",
        "accelerators?hostname={}",
        "accelerators?state={}",
        "operations?kind={}",
        "operations?subject={}",
        "operations/{}",
        "devices?limit={}",
        "devices?marker={}",
        "devices?sort_key={}",
        "deployables?name={}",
    ],
)
@pytest.mark.parametrize("version", ["2.0", "latest"])
def test_text_in_a_url_lists_what_has_it_or_is_refused(api: Api, query: str, version: str) -> None:
    @SETTINGS
    @hypothesis.given(text=HOSTILE)
    def holds(text: str) -> None:
        path = f"/v2/{query.format(quote(text, safe='', errors='surrogatepass'))}"
        answer = api.call("GET", path, version=f"accelerator {version}")
        if answer.status_int != 200:
            check(answer)

    holds()


def free_text() -> dict[str, list[str]]:
    """By table, the columns of text that nobody checks when it is read."""
    names = (columns.Name, columns.JoinedName, columns.PrefixedName)
    found = {
        table.name: [
            column.name
            for column in table.columns
            if isinstance(column.type, sqlalchemy.Text) or any(column.type is name for name in names)
        ]
        for table in models.Base.metadata.sorted_tables
    }
    return {table: names for table, names in found.items() if names}


@pytest.mark.parametrize("table", free_text())
def test_no_text_in_a_row_breaks_a_list(api: Api, table: str) -> None:
    api.report(builders.mixed_host("host-1"))
    api.profile()
    api.bind(api.request())
    api.operation()
    rows = models.Base.metadata.tables[table]
    key = rows.primary_key.columns[0]
    first = sqlalchemy.select(sqlalchemy.func.min(key)).scalar_subquery()
    for text in ODD:
        with api.store.transaction() as tx:
            tx.execute(rows.update().where(key == first).values(dict.fromkeys(free_text()[table], text)))
        for version, collections in (("2.0", OLDEST_COLLECTIONS), ("latest", COLLECTIONS)):
            for collection in collections:
                answer = api.call("GET", f"/v2/{collection}", version=f"accelerator {version}")
                assert answer.status_int == 200, f"{text!r}: {answer.text}"
