# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent, to whichever route: a refusal that helps, never a fault, and nothing is stored.

The routes are those that the application has, each in the first version and in the last. What is sent is in
`cyborg.tests.functional.garbage`.
"""

import dataclasses
import datetime
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cyborg.api import microversions, routing
from cyborg.api.controllers import root
from cyborg.store import models, operations
from cyborg.tests.functional import garbage, standalone
from cyborg.tests.functional.client import Answer, Client
from cyborg.tests.functional.standalone import Running

LONGEST_ANSWER = 2000
#: What only a look inside could know: traces, SQL, files, names of classes and tables.
INSIDES = re.compile(
    r"Traceback|File \"|\.py\b|sqlite|sqlalchemy|oslo|\bSELECT\b|\bINSERT\b|\bUPDATE\b|\bDELETE FROM\b|<class|"
    r"object at 0x|cyborg\.\w|/usr/|/tmp/|/home/|/root/|NoneType|\b[A-Z]\w+(Error|Exception)\b",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One route in one version; ``path`` is below /v2, with ``{}`` for one item."""

    verb: str
    path: str
    version: microversions.Version
    form: routing.Form

    def __str__(self) -> str:
        return f"{self.verb} {self.path} {self.version}"

    @property
    def reads(self) -> bool:
        return self.form.body is not None

    @property
    def needs_body(self) -> bool:
        return self.reads and "default" not in (self.form.body or {})

    def among(self, table: Mapping[tuple[str, str], Sequence[Any]]) -> Sequence[Any]:
        return table.get((self.verb, self.path), ())


def _case(collection: str, route: routing.Route, version: microversions.Version) -> Case:
    path = re.sub(r"\{\w+\}", "{}", "/".join((collection, *route.pattern)))
    return Case(verb=route.verb, path=path, version=version, form=routing.form_at(route, version))


CASES = [
    _case(collection, route, version)
    for collection, resource in root.resources().items()
    for route, _ in resource.routes
    for version in (microversions.MIN, microversions.MAX)
    if route.since <= version
]
COLLECTIONS = sorted({case.path.partition("/")[0] for case in CASES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A service with one of everything in it; ``items`` has the uuid of one, by collection."""

    running: Running
    client: Client
    items: Mapping[str, str]
    names: Mapping[str, str]

    def send(
        self,
        case: Case,
        *items: str,
        query: str = "",
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """To the route, with the good item of its collection where none is given."""
        good = self.items[case.path.partition("/")[0]]
        path = "/v2/" + case.path.format(*(items or (good,) * case.path.count("{}")))
        version = {"OpenStack-API-Version": f"accelerator {case.version}"}
        return self.client.call(
            case.verb, path + (query and f"?{query}"), content=content, headers=version | dict(headers or {})
        )

    def named(self, body: Any) -> bytes:
        """The body as JSON, with what is there in the places of its names."""
        text = json.dumps(body)
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value)
        return text.encode()

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, but for the turns that the conductor's periodic work takes meanwhile."""
        with self.running.observer.reading() as tx:
            found = {
                table.name: sorted(map(tuple, tx.execute(select(table))), key=repr)
                for table in models.Base.metadata.sorted_tables
                if table.name != models.Operation.__tablename__
            }
            waiting = select(models.Operation.uuid).where(~models.Operation.kind.startswith(operations.TURN))
            return found | {"operations": sorted(map(tuple, tx.execute(waiting)))}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    directory: Path = tmp_path_factory.mktemp("garbage")
    hosts = {garbage.HOST: standalone.gpu_host(directory / "host.yaml", cards=1)}
    with standalone.in_process(directory, hosts) as running:
        client = running.client
        client.create_profile(garbage.PROFILE, standalone.GPU_TRAIT)
        (request,) = client.create(garbage.PROFILE)
        with running.observer.transaction() as tx:
            later = operations.now() + datetime.timedelta(days=1)
            operations.add(tx, [operations.new(kind="prepare", payload={}, owner="somebody", lease_until=later)])
        latest = {"OpenStack-API-Version": "accelerator latest"}
        items = {}
        for name in COLLECTIONS:
            listed = client.call("GET", f"/v2/{name}", headers=latest).expect(200).json
            items[name] = next(iter(listed.values()))[0]["uuid"]
        (deployable,) = [one["device_id"] for one in client.list("deployables")]
        names = {
            "deployable_id": str(deployable),
            "arq": request,
            "provider": running.provider(garbage.HOST),
            "profile": items["device_profiles"],
        }
        yield Target(running=running, client=client, items=items, names=names)


@pytest.fixture(autouse=True)
def _nothing_is_stored(target: Target) -> Iterator[None]:
    before = target.contents()
    yield
    assert target.contents() == before


def fault_of(answer: Answer, *statuses: int) -> str | None:
    """None for a refusal in the form that clients read, in words for people, without our insides; else what it is."""
    good = (
        answer.status in (statuses or range(400, 500))
        and answer.headers.get("content-type", "").startswith("application/json")
        and list(answer.json) == ["error_message"]
        and len(answer.words) > len("Not found.")
        and len(answer.text) < LONGEST_ANSWER
        and not INSIDES.search(answer.words)
    )
    return None if good else f"{answer.question[:200]}: {answer.status} {answer.text[:500]}"


def check_refused(answers: Mapping[str, Answer], *statuses: int) -> None:
    """All of them, by what was sent."""
    faults = {sent: fault for sent, answer in answers.items() if (fault := fault_of(answer, *statuses))}
    assert not faults, "\n".join(f"{sent[:200]} -> {fault}" for sent, fault in faults.items())


def each(cases: Iterable[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=str(case)) for case in cases])


@each(case for case in CASES if "{}" in case.path)
def test_an_item_that_cannot_be_is_refused(target: Target, case: Case) -> None:
    good = garbage.bind() if case.path.startswith("accelerator_requests") else garbage.PROGRAMS[-1]
    if case.path.startswith("device_profiles"):
        good = {"description": "other"}
    content = target.named(good) if case.needs_body else None
    check_refused(
        {name: target.send(case, item, item, content=content) for name, item in garbage.ITEMS.items()}, 400, 404, 406
    )


@each(CASES)
def test_an_argument_that_cannot_be_is_refused(target: Target, case: Case) -> None:
    content = target.named({}) if case.needs_body else None
    check_refused({query: target.send(case, query=query, content=content) for query in garbage.QUERIES.values()}, 400)
    lists = garbage.PAGES if (case.verb, "{}" in case.path) == ("GET", False) else ()
    check_refused(
        {query: target.send(case, query=query) for query in (*case.among(garbage.QUERIES_OF), *lists)}, 400, 404
    )


@each(case for case in CASES if case.reads)
def test_a_body_of_another_form_is_refused(target: Target, case: Case) -> None:
    contents = {
        name: content for name, content in garbage.CONTENTS.items() if case.needs_body or content not in (b"", b"{}")
    }
    small = {name: content for name, content in contents.items() if len(content) < garbage.MEGABYTES}
    check_refused({name: target.send(case, content=content) for name, content in small.items()}, 400)
    large = {name: content for name, content in contents.items() if name not in small}
    check_refused({name: target.send(case, content=content) for name, content in large.items()}, 413)


@each(case for case in CASES if case.reads)
def test_a_body_of_another_type_is_refused(target: Target, case: Case) -> None:
    kinds = ("text/plain", "application/xml", "", "nonsense")
    answers = {kind: target.send(case, content=b"[1]", headers={"Content-Type": kind}) for kind in kinds}
    check_refused(answers, 400, 415)


@each(case for case in CASES if case.among(garbage.BODIES_OF) or case.among(garbage.LATER_BODIES_OF))
def test_a_body_that_says_something_impossible_is_refused(target: Target, case: Case) -> None:
    bodies = list(case.among(garbage.BODIES_OF))
    if case.version == microversions.MAX:
        bodies += case.among(garbage.LATER_BODIES_OF)
    check_refused({json.dumps(body): target.send(case, content=target.named(body)) for body in bodies})


@each(case for case in CASES if (case.verb, case.path) == ("POST", "device_profiles"))
def test_what_clients_expect_to_be_a_fault_says_no_more_than_a_refusal(target: Target, case: Case) -> None:
    bodies = [
        garbage.profile(name=""),
        garbage.profile(name=...),
        garbage.profile(name=garbage.LONG),
        garbage.profile(uuid="{profile}"),
        [{}],
    ]
    check_refused({json.dumps(body): target.send(case, content=target.named(body)) for body in bodies}, 500)


@pytest.mark.parametrize("method", ["PUT", "TRACE", "NONSENSE"])
def test_a_method_that_a_path_does_not_have_is_refused(target: Target, method: str) -> None:
    cases = [dataclasses.replace(case, verb=method) for case in CASES]
    check_refused({str(case): target.send(case) for case in cases}, 405)


@pytest.mark.parametrize(
    "version", ["accelerator 9.9", "accelerator 2.99", "accelerator x", "2.x", f"accelerator {garbage.LONG}"]
)
def test_a_version_that_is_none_is_refused(target: Target, version: str) -> None:
    headers = {"OpenStack-API-Version": version}
    check_refused({str(case): target.send(case, headers=headers) for case in CASES}, 406)


def test_a_path_that_leads_nowhere_is_refused(target: Target) -> None:
    paths = (
        "/v2/nonsense",
        "/v1/devices",
        "/v3",
        "/v2/devices/1/2/3",
        "/v2/%00",
        "/nonsense",
        "/v2/../x",
        f"/v2/{garbage.LONG}",
    )
    check_refused({path: target.client.call("GET", path) for path in paths}, 400, 404)
