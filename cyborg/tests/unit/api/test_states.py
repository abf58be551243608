# SPDX-License-Identifier: Apache-2.0
"""States of accelerators that came later are, in older versions, the nearest that those know."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import select, update

from cyborg.store import models
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import Api

WORK = "7e62f5a8-9d71-4d0c-ad8b-5f2b1e0a3c11"
OLDER, NEWEST = "accelerator 2.9", "latest"


@pytest.fixture
def busy(api: Api) -> Api:
    """Four cards: one held, one being prepared for its holder, one being cleaned, one that could not be."""
    api.report(builders.gpu_host("host-1", 4))
    api.profile()
    for _ in range(2):
        api.bind(api.request())
    rows = models.Accelerator
    found = select(rows.id, rows.work)
    with api.store.transaction() as tx:
        held, reserved = tx.execute(found.where(rows.arq_uuid.is_not(None))).all()
        cleaning, kept = tx.execute(found.where(rows.arq_uuid.is_(None))).all()
        changes: dict[int, dict[str, Any]] = {
            reserved.id: {"work": WORK},
            cleaning.id: {"work": WORK},
            kept.id: {"work": WORK, "quarantine": "The card does not answer."},
        }
        for row, values in changes.items():
            tx.execute(update(rows).where(rows.id == row).values(values))
    assert held.work is None
    return api


def states(api: Api, version: str) -> list[str]:
    return sorted(one["state"] for one in api.call("GET", "/v2/accelerators", version=version).json["accelerators"])


def test_each_state_is_shown_as_the_version_knows_it(busy: Api) -> None:
    assert states(busy, NEWEST) == ["cleaning", "failed", "held", "reserved"]
    assert states(busy, OLDER) == ["disabled", "failed", "held", "held"]


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        (NEWEST, {"held": 1, "reserved": 1, "cleaning": 1, "failed": 1, "disabled": 0, "free": 0}),
        (OLDER, {"held": 2, "disabled": 1, "failed": 1, "free": 0}),
    ],
)
def test_a_state_finds_what_is_shown_as_it(busy: Api, version: str, numbers: Mapping[str, int]) -> None:
    for state, number in numbers.items():
        found = busy.call("GET", f"/v2/accelerators?state={state}", version=version).json["accelerators"]
        assert [one["state"] for one in found] == [state] * number


def test_an_older_version_refuses_a_state_that_it_does_not_know(busy: Api) -> None:
    answer = busy.call("GET", "/v2/accelerators?state=cleaning", version=OLDER)
    assert answer.status_int == 400
    assert "'cleaning' is not one of ['free', 'held', 'disabled'" in answer.json["error_message"]


def test_hosts_and_previews_count_as_the_version_knows_it(busy: Api) -> None:
    device = busy.call("GET", "/v2/devices").json["devices"][0]["uuid"]
    for version, expected in (
        (NEWEST, {"held": 1, "reserved": 1, "cleaning": 1, "failed": 1, "disabled": 0, "free": 0, "missing": 0}),
        (OLDER, {"held": 2, "disabled": 1, "failed": 1, "free": 0, "missing": 0}),
    ):
        assert busy.call("GET", "/v2/hosts/host-1", version=version).json["accelerators"] == expected
        effect = busy.call("POST", f"/v2/devices/{device}/disable", {"dry_run": True}, version=version).json
        assert effect["before"].keys() == effect["after"].keys() == expected.keys()


def test_what_could_not_be_cleaned_says_why(busy: Api) -> None:
    shown = busy.call("GET", "/v2/accelerators", version=NEWEST).json["accelerators"]
    assert {one["fault"] for one in shown if one["state"] == "failed"} == {"The card does not answer."}
    assert {one["fault"] for one in shown if one["state"] != "failed"} == {None}
    assert "fault" not in busy.call("GET", "/v2/accelerators", version=OLDER).json["accelerators"][0]
