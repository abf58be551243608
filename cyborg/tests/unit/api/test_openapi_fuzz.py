# SPDX-License-Identifier: Apache-2.0
"""Whatever is made from the OpenAPI document and sent: each answer is one that the document shows."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from cyborg.api import microversions
from cyborg.api.controllers import root
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import Api

EXAMPLES = 15
VERSIONS = (microversions.MIN, microversions.MAX)
CHECKS: list[Any] = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
#: The only faults of ours, on purpose: the words of those that clients pin.
PINNED = ("needs a name", "at most 255 are allowed", "already")
PINNED_OPERATION = "DeviceProfiles.post"


def operations(version: microversions.Version) -> list[str]:
    paths = root.Versions(root.resources()).document(version)["paths"]
    return sorted(f"{verb.upper()} {path}" for path, served in paths.items() for verb in served)


def stock(api: Api) -> dict[str, str]:
    """A cloud with one of everything; a uuid that exists, by the collection of its path."""
    api.report(builders.mixed_host("host-1"))
    profile = api.profile()
    bound, free = api.request(who="admin"), api.request(who="admin")
    api.bind(bound, who="admin")
    first = {
        name: api.call("GET", f"/v2/{name}", version="latest").json[name][0]["uuid"]
        for name in ("devices", "deployables", "accelerators", "hosts")
    }
    attribute = api.call("GET", "/v2/attributes").json["attributes"][0]["uuid"]
    return first | {"attributes": attribute, "device_profiles": profile, "accelerator_requests": free[0]}


@pytest.mark.parametrize(
    ("version", "operation"),
    [(version, operation) for version in VERSIONS for operation in operations(version)],
    ids=str,
)
def test_each_answer_is_one_that_the_document_shows(api: Api, version: microversions.Version, operation: str) -> None:
    known = stock(api)
    headers = {microversions.HEADER: f"accelerator {version}", "X-Auth-Token": "admin", "X-Service-Token": "nova"}
    document = schemathesis.openapi.from_wsgi("/v2/openapi.json", api.application, headers=headers)
    verb, path = operation.split(" ", 1)
    described = document[path][verb]
    one = known.get(path.removeprefix("/v2/").split("/")[0], "")
    real = dict.fromkeys((part.name for part in described.path_parameters), one)
    cases = [described.as_strategy(mode) for mode in GenerationMode]
    if real:
        cases += [described.as_strategy(mode, path_parameters=real) for mode in GenerationMode]

    @hypothesis.settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(case=strategies.one_of(cases))
    def answered(case: schemathesis.Case[Any]) -> None:
        response = case.call(headers=headers)
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 500:
            assert described.definition.raw["operationId"] == PINNED_OPERATION
            assert any(words in response.text for words in PINNED), response.text

    answered()
