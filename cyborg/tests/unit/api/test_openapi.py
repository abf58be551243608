# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: valid, public, of the version that is asked for, and about every route."""

import json
from typing import Any

import openapi_spec_validator
import pytest

from cyborg.api import microversions, openapi, routing
from cyborg.tests.unit.api.conftest import Api

VERSIONS = [microversions.Version(2, minor) for minor in range(microversions.MAX.minor + 1)]


def document(api: Api, version: str = "accelerator latest") -> dict[str, Any]:
    answer = api.call("GET", "/v2/openapi.json", who=None, version=version)
    assert answer.status_int == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_the_document_of_each_version_is_valid_and_says_which_it_is(api: Api, version: microversions.Version) -> None:
    found = document(api, f"accelerator {version}")
    openapi_spec_validator.validate(found)
    assert found["info"]["version"] == str(version)


def test_nobody_needs_a_token_to_read_it_and_it_says_where_the_service_is(api: Api) -> None:
    answer = api.call("GET", "/accelerator/v2/openapi.json", who=None)
    assert answer.headers["Vary"] == "OpenStack-API-Version"
    assert answer.json["servers"] == [{"url": "http://cloud:6666/accelerator"}]


def test_a_member_that_came_later_is_not_in_an_older_document(api: Api) -> None:
    def device(version: str) -> set[str]:
        return set(document(api, version)["components"]["schemas"]["Device"]["properties"])

    assert device("accelerator 2.3") - device("accelerator 2.2") == {"status"}


def test_every_operation_has_its_policy_its_statuses_and_its_version_header(api: Api) -> None:
    for path, operations in document(api)["paths"].items():
        for verb, operation in operations.items():
            told = f"{verb} {path}"
            public = operation.get("security") == []
            assert operation["summary"], told
            assert public == ("401" not in operation["responses"]), told
            assert public == ("403" not in operation["responses"]), told
            assert "406" in operation["responses"], told
            version = {"$ref": "#/components/parameters/version"}
            assert (version in operation["parameters"]) == (path != "/"), told


def test_the_operations_without_a_policy_of_their_own_are_the_documents_and_the_aliases(api: Api) -> None:
    bare = {
        operation["operationId"]
        for operations in document(api)["paths"].values()
        for operation in operations.values()
        if "x-openstack-policy" not in operation
    }
    assert bare == {"Versions.root", "Versions.current", "Versions.openapi", "Deployables.program_alias"}


def test_no_two_operations_have_one_name_and_no_two_paths_differ_in_names_only(api: Api) -> None:
    paths = document(api)["paths"]
    names = [operation["operationId"] for operations in paths.values() for operation in operations.values()]
    assert len(names) == len(set(names))
    shapes = [openapi._PART.sub("{}", path) for path in paths]
    assert len(shapes) == len(set(shapes))


def test_one_schema_has_one_title() -> None:
    class Twice(routing.Resource):
        @routing.route("GET", "a", answer={"title": "Same", "type": "string"})
        def a(self) -> None:
            """200."""

        @routing.route("GET", "b", answer={"title": "Same", "type": "integer"})
        def b(self) -> None:
            """200."""

    with pytest.raises(ValueError, match="'Same'"):
        openapi.document({"twice": Twice()}, microversions.MIN)


def test_the_statuses_of_an_alias_are_those_of_what_it_stands_for(api: Api) -> None:
    paths = document(api)["paths"]
    same = paths["/v2/deployables/{uuid}/program"]["patch"]["responses"].keys()
    assert paths["/v2/deployables/{uuid}/program/{again}"]["patch"]["responses"].keys() == same
    assert "409" in same


def test_the_document_tells_nothing_of_how_the_service_is_made(api: Api) -> None:
    text = json.dumps(document(api))
    assert "cyborg.api" not in text
