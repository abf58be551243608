# SPDX-License-Identifier: Apache-2.0
"""Drivers with the defaults of their options, and hosts made from a few words."""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from cyborg.drivers import loader, recorded
from cyborg.drivers.fake_nvml import FakeNvml
from cyborg.drivers.host import Host


def _points() -> dict[str, metadata.EntryPoint]:
    """The entry points of the drivers in this package by family: the module, so each once whatever its other names."""
    points = metadata.entry_points(group=loader.ENTRY_POINTS)
    return {point.module.rpartition(".")[2]: point for point in points if point.value.startswith("cyborg.drivers.")}


def families() -> list[str]:
    return sorted(_points())


def group_of(family: str) -> str | None:
    """The option group of the family's driver."""
    group: str | None = _points()[family].load().option_group
    return group


def driver(
    family: str,
    options: dict[str, Any] | None = None,
    nvml: dict[str, Any] | None = None,
    sockets: Mapping[str, str] | None = None,
) -> Any:
    """The driver with ``options`` over its defaults, NVML answering from ``nvml`` and sockets at other places."""
    cls = _points()[family].load()
    defaults = {option.dest: option.default for option in cls.options}
    more: dict[str, Any] = {"nvml_library": FakeNvml(nvml)} if nvml is not None else {}
    more |= {"find_socket": lambda name: sockets.get(name, name)} if sockets else {}
    return cls(defaults | (options or {}), **more)


def host(directory: Path, functions: dict[str, Any], files: dict[str, Any] | None = None) -> Host:
    """A host with these functions, in the words of a recorded host."""
    recording = directory / "host.yaml"
    recording.write_text(yaml.safe_dump({"pci": functions, "files": files or {}}), encoding="utf-8")
    return recorded.materialise(recording, directory / "tree")
