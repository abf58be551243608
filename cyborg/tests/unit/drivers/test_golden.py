# SPDX-License-Identifier: Apache-2.0
"""Each directory below tests/golden/<driver> is a test: the host in host.yaml gives the devices in report.yaml.

host.yaml is a recorded host (`cyborg.drivers.recorded`) and may say more: ``options``, those of the driver that differ
from their defaults; ``nvml``, a table for `fake_nvml`; ``tools``, what commands print; ``rpc``, SPDK targets by socket.
To write report.yaml of a new case, or anew after a change that is meant, run the tests with CYBORG_UPDATE_GOLDEN=1 and
read the difference.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from cyborg.domain import report, wire
from cyborg.tests.unit.drivers import builders, golden

UPDATE = os.environ.get("CYBORG_UPDATE_GOLDEN") == "1"


def _seen(case: str, directory: Path) -> dict[str, Any]:
    with golden.at_work(golden.family_of(case), golden.recording(case), directory) as (driver, host):
        devices = tuple(driver.discover(host))
    for device in devices:
        assert wire.from_wire(report.Device, wire.to_wire(device)) == device
    return {"devices": wire.to_wire(devices)}


@pytest.mark.parametrize("case", golden.CASES)
def test_the_host_gives_the_report(case: str, tmp_path: Path) -> None:
    file = golden.PLACE / case / "report.yaml"
    seen = _seen(case, tmp_path)
    if UPDATE:
        file.write_text(yaml.safe_dump(seen, sort_keys=False, width=118), encoding="utf-8")

    assert file.exists(), f"{file} is missing; write it with CYBORG_UPDATE_GOLDEN=1 and read it"
    assert seen == golden.report(case)


@pytest.mark.parametrize("family", builders.families())
def test_every_driver_has_at_least_three_golden_hosts(family: str) -> None:
    assert len([case for case in golden.CASES if case.startswith(f"{family}/")]) >= 3
