# SPDX-License-Identifier: Apache-2.0
"""Every story in gabbits/ holds: one file, one story, over a cloud of two hosts."""

import unittest
import uuid
from pathlib import Path

import pytest
from gabbi import handlers, suitemaker, utils

from cyborg.api import microversions
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import PROVIDER, Api

GABBITS = Path(__file__).resolve().parents[2] / "gabbits"
SECOND_PROVIDER = "c2b3f2d9-5d6c-4e4a-8b4f-3a1a5e1a4b22"
#: What stories begin with, and may change: the caller, and a bare request is an administrator's.
DEFAULTS = {"request_headers": {"x-auth-token": "admin", "accept": "application/json"}}


@pytest.mark.parametrize("story", sorted(path.stem for path in GABBITS.glob("*.yaml")))
def test_the_story_holds(story: str, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.report(builders.mixed_host("host-1"))
    api.report(builders.gpu_host("host-2"), SECOND_PROVIDER)
    monkeypatch.setenv("PROVIDER", PROVIDER)
    monkeypatch.setenv("NEWEST", str(microversions.MAX))
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
