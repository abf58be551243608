# SPDX-License-Identifier: Apache-2.0
"""A driver that is right passes; one that is wrong in one way fails the check that is about it."""

from pathlib import Path
from typing import Any

import pytest

from cyborg.drivers.conformance import run
from cyborg.drivers.conformance.subject import Case, Subject
from cyborg.tests.unit.drivers import builders
from cyborg.tests.unit.drivers.conformance.lamps import FAULTS, Lamp

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
LAMP: dict[str, Any] = {
    "vendor": 0x1A1A,
    "device": 0xCAFE,
    "class": 0x120000,
    "power_state": "D0",
    "temp1_input": 40000,
    "colour": "off",
    "sriov_totalvfs": 4,
}
LAMPS = {
    "0000:3b:00.0": {**LAMP, "iommu_group": 1, "reset_method": "flr bus"},
    "0000:5e:00.0": {**LAMP, "iommu_group": 2},
    "0000:5e:00.1": {"vendor": 0x1A1A, "device": 0xCAFE, "class": 0x120000, "physfn": "0000:5e:00.0", "iommu_group": 3},
    "0000:6f:00.0": {**LAMP, "iommu_group": 4, "reset_method": "bus"},
    "0000:6f:00.1": {"vendor": 0x1B21, "device": 0x0612, "class": 0x010601, "iommu_group": 5, "power_state": "D0"},
}
SOURCES = [
    {"card": "0000:3b:00.0", "file": "filament", "bad": "burnt", "health": "failed", "reason": "burnt_out"},
    {"card": "0000:5e:00.0", "file": "filament", "bad": "burnt", "health": "failed", "reason": "burnt_out"},
]


def subject(cls: type[Lamp], directory: Path) -> Subject:
    case = Case(name="lamps", data={"pci": LAMPS, "health": SOURCES})
    return Subject(name="lamp", cls=cls, cases=[case], directory=directory, limit=1.0)


def test_the_right_driver_passes_every_check(tmp_path: Path) -> None:
    results = list(run.run(subject(Lamp, tmp_path)))
    assert [result for result in results if result.problems] == []
    assert len(results) == len(run.CHECKS)


@pytest.mark.parametrize("cls", FAULTS, ids=lambda cls: cls.__name__)
def test_a_planted_fault_is_found_by_the_check_that_is_about_it(cls: type[Lamp], tmp_path: Path) -> None:
    (check,) = (check for check in run.CHECKS if check.__name__ == FAULTS[cls])
    (result,) = run.run(subject(cls, tmp_path), [check])
    assert result.problems


def test_at_least_twenty_faults_are_planted() -> None:
    assert len(FAULTS) >= 20


@pytest.mark.parametrize("family", builders.families())
def test_shipped_drivers_pass(family: str, tmp_path: Path) -> None:
    recordings = sorted(GOLDEN.glob(f"{family}/*/host.yaml"))
    results = list(run.run(Subject.of(f"{family}_driver", recordings, tmp_path)))
    assert [result for result in results if result.problems] == []
