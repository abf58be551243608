# SPDX-License-Identifier: Apache-2.0
"""Whatever is made from the OpenAPI document and sent: each answer is one that the document shows.

CYBORG_TEST_EXAMPLES=100 sends so many of each kind to each route; by default there are a few, in every run the same.
"""

import os
from collections.abc import Mapping, Sequence
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
from cyborg.store import models
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import Api

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

    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    known: Mapping[str, str]

    def put(self, api: Api) -> None:
        with api.store.transaction() as tx:
            for table in models.Base.metadata.sorted_tables:
                if self.rows[table.name]:
                    tx.execute(table.insert(), [dict(row) for row in self.rows[table.name]])


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
    with service.store.reading() as tx:
        rows = {
            table.name: [dict(row) for row in tx.execute(table.select()).mappings()]
            for table in models.Base.metadata.sorted_tables
        }
    return Stock(rows=rows, known=known)


@pytest.mark.parametrize(
    ("version", "operation"),
    [(version, operation) for version in VERSIONS for operation in operations(version)],
    ids=str,
)
def test_each_answer_is_one_that_the_document_shows(
    stock: Stock, api: Api, version: microversions.Version, operation: str
) -> None:
    stock.put(api)
    headers = {microversions.HEADER: f"accelerator {version}", "X-Auth-Token": "admin", "X-Service-Token": "nova"}
    document = schemathesis.openapi.from_wsgi("/v2/openapi.json", api.application, headers=headers)
    verb, path = operation.split(" ", 1)
    described = document[path][verb]
    one = stock.known.get(path.removeprefix("/v2/").split("/")[0], "")
    real = dict.fromkeys((part.name for part in described.path_parameters), one)
    # Where nothing is taken, nothing can be wrong.
    taken = [*described.query, *described.body, *described.path_parameters]
    modes = list(GenerationMode) if taken else [GenerationMode.POSITIVE]
    cases = [described.as_strategy(mode) for mode in modes]
    if real:
        cases += [described.as_strategy(mode, path_parameters=real) for mode in modes]

    for case in cases:
        _send(described, case, headers)


def _send(described: Any, made: strategies.SearchStrategy[Any], headers: Mapping[str, str]) -> None:
    @hypothesis.settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(case=made)
    def answered(case: schemathesis.Case[Any]) -> None:
        response = case.call(headers=dict(headers))
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 500:
            assert described.definition.raw["operationId"] == PINNED_OPERATION
            assert any(words in response.text for words in PINNED), response.text

    answered()
