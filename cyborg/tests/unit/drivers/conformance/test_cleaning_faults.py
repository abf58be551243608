# SPDX-License-Identifier: Apache-2.0
"""Every way of cleaning wrongly that we could think of is found by the check that is about it."""

from pathlib import Path
from typing import Any

import pytest

from cyborg.drivers.conformance import run
from cyborg.drivers.conformance.subject import Case, DriverClass, Subject
from cyborg.drivers.nvme_ssd import NvmeSsdDriver
from cyborg.tests.unit.drivers.conformance import cleaners
from cyborg.tests.unit.drivers.conformance.lamps import Lamp

LAMP: dict[str, Any] = {
    "vendor": 0x1A1A,
    "device": 0xCAFE,
    "class": 0x120000,
    "reset_method": "flr",
    "power_state": "D0",
}
LAMPS = {
    "pci": {
        "0000:3b:00.0": {**LAMP, "iommu_group": 1, "colour": "off"},
        "0000:5e:00.0": {**LAMP, "iommu_group": 2, "colour": "off"},
        "0000:5e:00.1": {**LAMP, "iommu_group": 3, "physfn": "0000:5e:00.0"},
    }
}
SHOWN = {"nvme": {"nvme0": {"state": "live"}}}
DISK: dict[str, Any] = {"vendor": 0x144D, "device": 0xA824, "class": 0x010802, "driver": "nvme", "reset_method": "flr"}
DISKS = {
    "pci": {"0000:3b:00.0": {**DISK, **SHOWN, "iommu_group": 1}},
    "disks": {"0000:3b:00.0": {}},
    "options": {"vendors": ["144d"], "erase_timeout": 0.2},
}


def subject(cls: DriverClass, directory: Path) -> Subject:
    data = LAMPS if issubclass(cls, Lamp) else DISKS
    return Subject(name="x", cls=cls, cases=[Case(name="host", data=data)], directory=directory, limit=1.0)


@pytest.mark.parametrize("cls", [Lamp, NvmeSsdDriver])
def test_the_right_driver_passes_every_check(cls: DriverClass, tmp_path: Path) -> None:
    assert [result for result in run.run(subject(cls, tmp_path)) if result.problems] == []


@pytest.mark.parametrize("cls", cleaners.FAULTS, ids=lambda cls: cls.__name__)
def test_a_driver_that_cleans_wrongly_is_found(cls: DriverClass, tmp_path: Path) -> None:
    (check,) = (check for check in run.CHECKS if check.__name__ == cleaners.FAULTS[cls])
    (result,) = run.run(subject(cls, tmp_path), [check])
    assert result.problems
