# SPDX-License-Identifier: Apache-2.0
"""The drivers on hardware fixtures that live outside the repository, where they are at hand."""

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cyborg.drivers import check
from cyborg.drivers.base import Measures
from cyborg.drivers.host import Host
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


def _options(family: str, config: dict[str, Any]) -> dict[str, Any]:
    if family == "pci":
        return {name: [json.dumps(item) for item in items] for name, items in config.get("pci", {}).items()}
    if family == "nvidia_gpu":
        types = {key: value for key, value in config.items() if key.startswith("vgpu_")}
        return {**config.get("gpu_devices", {}), **types}
    options: dict[str, Any] = config.get(family, {})
    return options


@pytest.mark.parametrize("name", _cases())
def test_drivers_find_what_the_fixture_says_is_there(name: str, tmp_path: Path) -> None:
    tool, fixture = _tool(), FIXTURES / name
    root = tool.materialise(fixture, tmp_path)
    host = Host(sysfs=root / "sys", devfs=root / "dev", procfs=root / "proc")
    expected = json.loads((fixture / "expected.json").read_text(encoding="utf-8"))
    nvml = fixture / "nvml.json"
    found: list[dict[str, Any]] = []
    for family in FAMILIES if (root / "sys/bus/pci/devices").is_dir() else ():
        table = json.loads(nvml.read_text(encoding="utf-8")) if family == "nvidia_gpu" and nvml.exists() else None
        driver = builders.driver(family, _options(family, expected["config"]), table)
        sensors = driver.measure(host) if isinstance(driver, Measures) else None
        found += check.to_fixture_form(family, driver.discover(host), sensors)
    wanted = [device for device in expected["devices"] if device["driver"] in FAMILIES]

    assert tool.compare(expected | {"devices": wanted}, found) == []
