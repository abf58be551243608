# SPDX-License-Identifier: Apache-2.0
"""Whatever is made from the OpenAPI document and sent: each answer is one that the document shows.

CYBORG_TEST_EXAMPLES=100 sends so many of each kind to each route; by default there are a few, in every run the same.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
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
from cyborg.tests.unit.api.conftest import Api, Rows

EXAMPLES = int(os.environ.get("CYBORG_TEST_EXAMPLES", "3"))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """A cloud with one of everything: its rows, and a uuid that exists by the collection of its path."""

    rows: Rows
    known: Mapping[str, str]


@pytest.fixture(scope="module")
def stock(service: Api) -> Stock:
    """Made once, by calls that wait for the conductor."""
    service.clear()
    service.report(builders.mixed_host("host-1"))
    profile = service.profile()
    bound, free = service.request(who="admin"), service.request(who="admin")
    service.bind(bound, who="admin")
    known = {
        name: service.call("GET", f"/v2/{name}", version="latest").json[name][0]["uuid"]
        for name in ("devices", "deployables", "accelerators", "hosts", "attributes")
    }
    known |= {"operations": service.operation(), "device_profiles": profile, "accelerator_requests": free[0]}
    return Stock(rows=service.stored(), known=known)


def headers(version: microversions.Version) -> dict[str, str]:
    return {microversions.HEADER: f"accelerator {version}", "X-Auth-Token": "admin", "X-Service-Token": "nova"}


@pytest.fixture(scope="module")
def documents(service: Api) -> dict[microversions.Version, Any]:
    """Read once: it does not depend on what is stored."""
    load = schemathesis.openapi.from_wsgi
    return {one: load("/v2/openapi.json", service.application, headers=headers(one)) for one in VERSIONS}


@pytest.mark.parametrize(
    ("version", "operation"),
    [(version, operation) for version in VERSIONS for operation in operations(version)],
    ids=str,
)
def test_each_answer_is_one_that_the_document_shows(
    stock: Stock,
    service: Api,
    documents: Mapping[microversions.Version, Any],
    version: microversions.Version,
    operation: str,
) -> None:
    service.fill(stock.rows)
    verb, path = operation.split(" ", 1)
    described = documents[version][path][verb]
    one = stock.known.get(path.removeprefix("/v2/").split("/")[0], "")
    real = dict.fromkeys((part.name for part in described.path_parameters), one)
    # Where nothing is taken, nothing can be wrong.
    taken = [*described.query, *described.body, *described.path_parameters]
    modes = list(GenerationMode) if taken else [GenerationMode.POSITIVE]
    cases = [described.as_strategy(mode) for mode in modes]
    if real:
        cases += [described.as_strategy(mode, path_parameters=real) for mode in modes]

    for case in cases:
        _send(described, case, headers(version))


def _send(described: Any, made: strategies.SearchStrategy[Any], sent: Mapping[str, str]) -> None:
    @hypothesis.settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(case=made)
    def answered(case: schemathesis.Case[Any]) -> None:
        response = case.call(headers=dict(sent))
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 500:
            assert described.definition.raw["operationId"] == PINNED_OPERATION
            assert any(words in response.text for words in PINNED), response.text

    answered()
