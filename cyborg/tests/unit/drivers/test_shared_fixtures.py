# SPDX-License-Identifier: Apache-2.0
"""Drivers and readers of images on fixtures that live outside the repository, where those are at hand."""

import base64
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cyborg.cmd import driver_check
from cyborg.tests.unit.drivers import builders

SHARED = Path(os.environ.get("CYBORG_SHARED_FIXTURES") or Path(__file__).resolve().parents[5] / "shared")
FIXTURES = SHARED / "drivers/fixtures"
FAMILIES = tuple(family for family in builders.families() if family != "fake")


def _cases() -> list[Any]:
    names = sorted(path.parent.name for path in FIXTURES.glob("*/expected.json"))
    skip = pytest.mark.skip(reason=f"no hardware fixtures at {FIXTURES}; set CYBORG_SHARED_FIXTURES")
    return list(names) or [pytest.param("", marks=skip, id="none")]


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fixture_tool", FIXTURES / "fixture_tool.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _served(tool: ModuleType, fixture: Path, socket: Path) -> Iterator[list[str]]:
    """The fixture's RPC at a socket, if it has one; yields what tells the command."""
    if not (fixture / "rpc.json").exists():
        yield []
        return
    command = [sys.executable, tool.__file__ or "", "serve-rpc", str(fixture), str(socket)]
    with subprocess.Popen(command) as server:
        while not socket.exists() and server.poll() is None:
            time.sleep(0.01)
        yield ["--socket", str(socket)]
        server.terminate()


def _discover(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert driver_check.main(["discover", *arguments]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("name", _cases())
def test_drivers_find_what_the_fixture_says_is_there(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool, fixture = _tool(), FIXTURES / name
    root = tool.materialise(fixture, tmp_path / "root")
    expected = json.loads((fixture / "expected.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(expected["config"]), encoding="utf-8")
    more = ["--root", str(root), "--config", str(tmp_path / "config.json")]
    if (fixture / "commands.json").exists():
        tool.fake_commands(fixture, tmp_path / "bin")
        more += ["--path", str(tmp_path / "bin")]
    if (fixture / "nvml.json").exists():
        more += ["--nvml", str(fixture / "nvml.json")]
    with _served(tool, fixture, tmp_path / "rpc.sock") as served:
        found = [device for family in FAMILIES for device in _discover(capsys, family, *more, *served)]

    assert tool.compare(expected, found) == []


def _images() -> list[Any]:
    file = FIXTURES / "bitstreams/cases.json"
    if not file.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"no image fixtures at {file}"), id="none")]
    return [pytest.param(case, id=case["name"]) for case in json.loads(file.read_text(encoding="utf-8"))["cases"]]


@pytest.mark.parametrize("case", _images())
def test_images_get_the_verdict_that_the_fixture_says(
    case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "image").write_bytes(base64.b64decode(case["base64"]))
    families = {"gbs": ["intel_fpga"], "xclbin": ["xilinx_fpga"]}
    for family in families.get(case["name"].partition("-")[0], ["intel_fpga", "xilinx_fpga"]):
        assert driver_check.main(["image", family, str(tmp_path / "image")]) == (0 if case["accept"] else 1)
        verdict = json.loads(capsys.readouterr().out)
        assert {name: verdict.get(name) for name in ("accept", "found", "reason")} == {
            name: case.get(name) for name in ("accept", "found", "reason")
        }
