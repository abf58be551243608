# SPDX-License-Identifier: Apache-2.0
"""cyborg/drivers/quality.yaml says of each driver and each rule where it stands, and leaves none out."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cyborg import drivers as room
from cyborg.drivers.base import Cleans, Prepares
from cyborg.tests.unit.drivers import builders

ROOT = Path(room.__file__).parents[2]
QUALITY = yaml.safe_load((Path(room.__file__).parent / "quality.yaml").read_text(encoding="utf-8"))
GOLDEN = ROOT / "cyborg/tests/golden"


def _standing(value: Any) -> str:
    """``done``, or ``todo`` or ``exempt`` with a reason; anything else is no standing."""
    if value == "done":
        return "done"
    if isinstance(value, dict) and len(value) == 1:
        ((word, why),) = value.items()
        if word in ("todo", "exempt") and isinstance(why, str) and why:
            return str(word)
    return f"{value!r} is neither done, nor todo or exempt with a reason"


def test_every_rule_says_what_it_asks() -> None:
    assert all(isinstance(text, str) and text for text in QUALITY["rules"].values())


def test_every_driver_is_judged_and_no_other() -> None:
    assert sorted(QUALITY["drivers"]) == builders.families()


@pytest.mark.parametrize("family", builders.families())
def test_a_driver_is_judged_by_every_rule_in_their_order(family: str) -> None:
    row = QUALITY["drivers"][family]
    assert list(row) == list(QUALITY["rules"])
    assert {_standing(value) for value in row.values()} <= {"done", "todo", "exempt"}


@pytest.mark.parametrize("family", builders.families())
def test_what_is_done_is_there(family: str) -> None:
    row = QUALITY["drivers"][family]
    cases = {path.parent.name for path in GOLDEN.glob(f"{family}/*/host.yaml")}
    assert row["has_golden_hosts"] != "done" or (len(cases) >= 3 and "broken" in cases)
    assert row["has_a_page"] != "done" or (ROOT / f"doc/source/admin/drivers/{family}.rst").is_file()


@pytest.mark.parametrize("family", builders.families())
def test_host_work_that_is_done_is_offered(family: str) -> None:
    row, driver = QUALITY["drivers"][family], builders.driver(family)
    assert isinstance(driver, Cleans) == (row["cleans"] == "done")
    assert row["prepares"] != "done" or isinstance(driver, Prepares)
