# SPDX-License-Identifier: Apache-2.0
"""cyborg-driver-check conformance: a table, and a status that a pipeline can use."""

from pathlib import Path

import pytest
import yaml

from cyborg.cmd import driver_check
from cyborg.drivers.conformance import run
from cyborg.tests.unit.drivers.conformance.test_conformance import LAMPS

LAMP_MODULE = "cyborg.tests.unit.drivers.conformance.lamps"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    file = tmp_path / "host.yaml"
    file.write_text(yaml.safe_dump({"pci": LAMPS}), encoding="utf-8")
    return file


def test_a_driver_that_passes_has_status_zero_and_a_line_for_each_check(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert driver_check.main(["conformance", f"{LAMP_MODULE}:Lamp", "--host", str(host)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("ok ")]) == len(run.CHECKS)
    assert lines[-1] == f"{LAMP_MODULE}:Lamp: passes"


def test_a_driver_that_fails_says_where(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert driver_check.main(["conformance", f"{LAMP_MODULE}:WrongTrait", "--host", str(host)]) == 1
    text = capsys.readouterr().out
    assert "FAILED  reports well formed" in text
    assert "'lamp of steel' is no trait" in text


@pytest.mark.parametrize("driver", ["no_such_driver", "no.such:Driver", f"{LAMP_MODULE}:NoSuch"])
def test_a_driver_that_cannot_be_had_is_another_status(
    driver: str, host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert driver_check.main(["conformance", driver, "--host", str(host)]) == 2
    assert driver.partition(":")[2] in capsys.readouterr().err


def test_a_host_that_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert driver_check.main(["conformance", "fake_driver", "--host", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml" in capsys.readouterr().err
