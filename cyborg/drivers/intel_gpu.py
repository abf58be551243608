# SPDX-License-Identifier: Apache-2.0
"""Intel GPUs: data-centre, display and integrated ones, whole or as SR-IOV virtual functions."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from oslo_config import cfg

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.drivers import hwmon, pci_function, pci_health, pci_reset, pci_work, traits, vf_demand
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.pci_health import Finding, Reader

VENDOR = "8086"
KIND = report.DeviceType.GPU
#: Any display class; Intel's FPGAs and neural processors are processing accelerators (12xx).
DISPLAY = "03"
#: Flex, Max and Battlemage, for a card whose class cannot be read.
DEVICES = frozenset(
    {"56c0", "56c1", "56c2", "0bd5", "0bd6", "0bd7", "0bd8", "0bd9", "0bda", "0bdb", "e20b", "e211", "e212"}
)
DRIVERS = ("i915", "xe")
AWAKE = "D0"
SURVIVABILITY: Finding = (report.Health.FAILED, "survivability_mode")
WEDGED: Finding = (report.Health.FAILED, "wedged")


class IntelGpuDriver:
    option_group: ClassVar[str | None] = "intel_gpu"
    options: ClassVar[tuple[cfg.Opt, ...]] = (vf_demand.OPTION,)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._on_demand = vf_demand.OnDemand(options[vf_demand.DEST])

    def discover(self, host: Host) -> Iterator[report.Device]:
        for gpu in _gpus(host, self._on_demand):
            yield _device(gpu, self._on_demand)

    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        found = {gpu.address: _sensors(gpu) for gpu in _gpus(host, self._on_demand) if _seen(gpu)}
        return {address: sensors for address, sensors in found.items() if sensors}

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        self._on_demand.prepare(host, unit)
        return pci_work.info(self.discover(host), unit)

    def release(self, host: Host, unit: Unit) -> None:
        self._on_demand.release(host, unit)

    def clean(self, host: Host, unit: Unit) -> None:
        pci_reset.clean(host, unit, rebind=DRIVERS)


def _gpus(host: Host, on_demand: vf_demand.OnDemand) -> Iterator[PciFunction]:
    """Without the host's console, unless it is the VFs of that card which are for guests."""
    for function in host.pci():
        if function.vendor != VENDOR or function.is_vf:
            continue
        if function.is_console and not on_demand.lists(function):
            continue
        if (function.pci_class or "").startswith(DISPLAY) or (
            function.pci_class is None and function.device in DEVICES
        ):
            yield function


def _seen(gpu: PciFunction) -> bool:
    return gpu.driver in DRIVERS and not _asleep(gpu)


def _asleep(gpu: PciFunction) -> bool:
    """Also one of which the kernel does not know the state: what its driver shows then means nothing."""
    return gpu.asleep or gpu.power_state not in (None, AWAKE)


def _device(gpu: PciFunction, on_demand: vf_demand.OnDemand) -> report.Device:
    reader = Reader()
    shared = gpu.vfs_on or on_demand.lists(gpu)
    memory = _memory(gpu, reader) if _seen(gpu) else None
    found = [*pci_health.findings(gpu), *_findings(gpu, reader)]
    health, reasons = pci_health.verdict([*found, *reader.findings])
    part = report.Deployable(
        resource_class="VGPU" if shared else "PGPU",
        traits=traits.product(KIND, VENDOR, gpu.device),
        accelerators=on_demand.units(gpu) if shared and not gpu.vfs_on else pci_function.accelerators(gpu),
        memory_mib=memory >> 20 if memory and not shared else None,
    )
    known = {"tiles": _tiles(gpu), "memory_bytes": memory}
    return report.Device(
        address=gpu.address,
        type=KIND,
        vendor=VENDOR,
        model=gpu.device,
        numa_node=gpu.numa_node,
        health=health,
        health_reasons=reasons,
        facts=gpu.facts() | pci_function.withheld(gpu) | {name: value for name, value in known.items() if value},
        deployables=(part,),
    )


def _findings(gpu: PciFunction, reader: Reader) -> Iterator[Finding]:
    if gpu.pci_class is None:
        yield pci_health.UNREADABLE
    if gpu.driver not in DRIVERS:
        yield pci_health.NO_DRIVER
    elif _asleep(gpu):
        yield pci_health.ASLEEP
    else:
        # That the file is there says it; its text differs between kernels.
        if "survivability_mode" in gpu.names:
            yield SURVIVABILITY
        if _wedged(gpu, reader):
            yield WEDGED
        for chip in hwmon.chips(gpu.node, *DRIVERS):
            yield from hwmon.heat(chip)


def _wedged(gpu: PciFunction, reader: Reader) -> bool:
    """The kernel gave the card up: it announces that as an event, so any trace of one counts."""
    if "wedged" in gpu.names and reader.text(gpu.node / "wedged") not in (None, "0", "none"):
        return True
    events = [gpu.node / "uevent", *gpu.node.search("drm/card*/uevent")]
    lines = [line.strip() for file in events for line in (file.text() or "").splitlines()]
    return any(line.startswith("WEDGED=") and line != "WEDGED=none" for line in lines)


def _tiles(gpu: PciFunction) -> int | None:
    """Chips of the card, each with a directory ``gt``. A tile with a second one, for media, leaves it open."""
    tiles = list(gpu.node.children("tile*"))
    parts = list(gpu.node.search("tile*/gt*")) or list(gpu.node.search("drm/card*/gt/gt*"))
    return len(parts) if len(tiles) in (0, len(parts)) else None


def _memory(gpu: PciFunction, reader: Reader) -> int | None:
    """Only some kernels outside the main line say it."""
    files = [file for file in gpu.node.search("drm/card*/lmem_total_bytes") if file.present()]
    return reader.number(files[0]) if files else None


def _sensors(gpu: PciFunction) -> dict[str, float]:
    """The temperature is that of the package: the second sensor of xe, the only one of i915."""
    for chip in hwmon.chips(gpu.node, *DRIVERS):
        package = hwmon.celsius(chip, "temp2")
        return hwmon.sensors(chip) | ({"temp_c": package} if package is not None else {})
    return {}
