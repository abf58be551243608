# SPDX-License-Identifier: Apache-2.0
"""Every story in gabbits/ holds: one file, one story, over a cloud of two hosts.

The first host was audited, and some work is under way there.
"""

import unittest
import uuid
from pathlib import Path

import pytest
from gabbi import handlers, suitemaker, utils

from cyborg.api import microversions
from cyborg.domain import audit
from cyborg.store import operations
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import PROVIDER, Api

GABBITS = Path(__file__).resolve().parents[2] / "gabbits"
SECOND_PROVIDER = "c2b3f2d9-5d6c-4e4a-8b4f-3a1a5e1a4b22"
#: What stories begin with, and may change: the caller, and a bare request is an administrator's.
DEFAULTS = {"request_headers": {"x-auth-token": "admin", "accept": "application/json"}}


SUBJECT = "d3c4a3ea-6e7d-4f5b-8c5a-4b2b6f2b5c33"


def work(api: Api) -> None:
    text = "total 9 reserved 0, and should be total 2 reserved 0"
    api.audited(
        "host-1",
        audit.Difference(kind=audit.Kind.INVENTORY_DIFFERS, host="host-1", subject="host-1/PGPU", text=text),
    )
    now = operations.now()
    api.operation(hostname="host-1", subject=SUBJECT)
    api.operation(kind="clean", owner=None, lease_until=None, hostname="host-1", attempts=2, last_error="It is busy.")
    api.operation(
        kind="nova_events", owner=None, lease_until=None, ended_at=now, deadline=now, last_error="Nova answered 500."
    )
    api.operation(kind="turn:audit")


@pytest.mark.parametrize("story", sorted(path.stem for path in GABBITS.glob("*.yaml")))
def test_the_story_holds(story: str, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.report(builders.mixed_host("host-1"))
    api.report(builders.gpu_host("host-2"), SECOND_PROVIDER)
    work(api)
    monkeypatch.setenv("PROVIDER", PROVIDER)
    monkeypatch.setenv("NEWEST", str(microversions.MAX))
    monkeypatch.setenv("SUBJECT", SUBJECT)
    monkeypatch.setenv("INSTANCE", str(uuid.uuid4()))
    monkeypatch.setenv("OTHER_INSTANCE", str(uuid.uuid4()))
    told = utils.load_yaml(yaml_file=str(GABBITS / f"{story}.yaml"))
    told.setdefault("defaults", DEFAULTS)
    suite = suitemaker.test_suite_from_dict(
        unittest.TestLoader(),
        story,
        told,
        str(GABBITS),
        str(uuid.uuid4()),
        6666,
        None,
        lambda: api.application,
        handlers=[handler() for handler in handlers.RESPONSE_HANDLERS],
    )
    result = unittest.TestResult()
    suite.run(result)
    assert result.testsRun == len(told["tests"])
    assert not result.skipped
    assert not result.failures + result.errors, "\n".join(text for _, text in result.failures + result.errors)
