# SPDX-License-Identifier: Apache-2.0
"""Drivers with the defaults of their options, and hosts made from a few words."""

from pathlib import Path
from typing import Any

import yaml

from cyborg.drivers import recorded
from cyborg.drivers.fake import FakeDriver
from cyborg.drivers.host import Host
from cyborg.drivers.intel_fpga import IntelFpgaDriver
from cyborg.drivers.nvidia_gpu import NvidiaGpuDriver
from cyborg.drivers.pci import PciDriver
from cyborg.tests.unit.drivers.fake_nvml import FakeNvml

CLASSES: dict[str, Any] = {
    "fake": FakeDriver,
    "intel_fpga": IntelFpgaDriver,
    "nvidia_gpu": NvidiaGpuDriver,
    "pci": PciDriver,
}


def driver(family: str, options: dict[str, Any] | None = None, nvml: dict[str, Any] | None = None) -> Any:
    """The driver with ``options`` over its defaults, and with NVML answering from ``nvml``."""
    cls = CLASSES[family]
    defaults = {option.dest: option.default for option in cls.options}
    more = {"nvml_library": FakeNvml(nvml)} if nvml is not None else {}
    return cls(defaults | (options or {}), **more)


def host(directory: Path, functions: dict[str, Any], files: dict[str, Any] | None = None) -> Host:
    """A host with these functions, in the words of a recorded host."""
    recording = directory / "host.yaml"
    recording.write_text(yaml.safe_dump({"pci": functions, "files": files or {}}), encoding="utf-8")
    return recorded.materialise(recording, directory / "tree")
