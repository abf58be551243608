# SPDX-License-Identifier: Apache-2.0
"""Drivers with the defaults of their options, and hosts made from a few words."""

from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from cyborg.drivers import loader, recorded
from cyborg.drivers.host import Host
from cyborg.tests.unit.drivers.fake_nvml import FakeNvml

SUFFIX = "_driver"


def _points() -> dict[str, metadata.EntryPoint]:
    """The entry points of the drivers in this package by family: the name without ``_driver``."""
    points = metadata.entry_points(group=loader.ENTRY_POINTS)
    return {point.name.removesuffix(SUFFIX): point for point in points if point.value.startswith("cyborg.drivers.")}


def families() -> list[str]:
    return sorted(_points())


def driver(family: str, options: dict[str, Any] | None = None, nvml: dict[str, Any] | None = None) -> Any:
    """The driver with ``options`` over its defaults, and with NVML answering from ``nvml``."""
    cls = _points()[family].load()
    defaults = {option.dest: option.default for option in cls.options}
    more = {"nvml_library": FakeNvml(nvml)} if nvml is not None else {}
    return cls(defaults | (options or {}), **more)


def host(directory: Path, functions: dict[str, Any], files: dict[str, Any] | None = None) -> Host:
    """A host with these functions, in the words of a recorded host."""
    recording = directory / "host.yaml"
    recording.write_text(yaml.safe_dump({"pci": functions, "files": files or {}}), encoding="utf-8")
    return recorded.materialise(recording, directory / "tree")
