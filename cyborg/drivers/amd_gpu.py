# SPDX-License-Identifier: Apache-2.0
"""AMD GPUs: whole cards, or their SR-IOV virtual functions; memory, partitions and error counts from sysfs.

AMD's own library is left alone: all that discovery needs is in sysfs, and starting it opens every card, the
sleeping ones too.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from oslo_config import cfg

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.drivers import hwmon, pci_function, pci_health, pci_reset, pci_work, traits, vf_demand
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.pci_health import Finding, Reader

VENDOR = "1002"
KIND = report.DeviceType.GPU
#: With and without a display, and the processing accelerators of the MI300 family; audio and switches differ.
CLASSES = ("0300", "0302", "0380", "1200")
#: Known GPUs, for a card whose class cannot be read.
DEVICES = frozenset({"738c", "7408", "740c", "740f", "7410", "74a1", "74a5", "74b5", "686c"})
#: The host's drivers that say how a card is; ``gim`` is the one that makes VFs.
VF_MAKER = "gim"
DRIVERS = ("amdgpu", VF_MAKER)
#: The driver that loses a card which is reset under it.
REBIND = ("amdgpu",)
#: Compute partitions by mode. They are parts of one PCI function, so a guest gets all of them.
PARTITIONS = {"SPX": 1, "DPX": 2, "TPX": 3, "QPX": 4, "CPX": 8}
PAGE_LIMIT = "module/amdgpu/parameters/bad_page_threshold"
MANY_CORRECTED = MANY_REPLAYS = 10
REPLAYS = "pcie_replay_count"
MIB = 1 << 20
UNCORRECTED: Finding = (report.Health.FAILED, "ecc_uncorrected")
CORRECTED: Finding = (report.Health.DEGRADED, "ecc_corrected")
REPLAYED: Finding = (report.Health.DEGRADED, "pcie_replay")
BAD_PAGES: Finding = (report.Health.DEGRADED, "bad_pages")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """What the kernel driver says of a card; nothing but findings when there is none or the card sleeps."""

    serial: str | None = None
    memory: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


class AmdGpuDriver:
    option_group: ClassVar[str | None] = "amd_gpu"
    options: ClassVar[tuple[cfg.Opt, ...]] = (vf_demand.OPTION,)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._on_demand = vf_demand.OnDemand(options[vf_demand.DEST], makers=(VF_MAKER,))

    def discover(self, host: Host) -> Iterator[report.Device]:
        for gpu in _gpus(host):
            yield _device(host, gpu, self._on_demand)

    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        found = {gpu.address: _sensors(gpu) for gpu in _gpus(host) if gpu.driver in DRIVERS and not gpu.asleep}
        return {address: sensors for address, sensors in found.items() if sensors}

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        self._on_demand.prepare(host, unit)
        return pci_work.info(self.discover(host), unit)

    def release(self, host: Host, unit: Unit) -> None:
        self._on_demand.release(host, unit)

    def clean(self, host: Host, unit: Unit) -> None:
        pci_reset.clean(host, unit, rebind=REBIND)


def _gpus(host: Host) -> Iterator[PciFunction]:
    """Without the host's console, unless it is the VFs of that card which are for guests."""
    for function in host.pci():
        if function.vendor != VENDOR or function.is_vf or function.is_console:
            continue
        if function.pci_class in CLASSES or (function.pci_class is None and function.device in DEVICES):
            yield function


def _device(host: Host, gpu: PciFunction, on_demand: vf_demand.OnDemand) -> report.Device:
    card = _card(host, gpu)
    unclear = [pci_health.UNREADABLE] if gpu.pci_class is None else []
    health, reasons = pci_health.verdict([*pci_health.findings(gpu), *card.findings, *unclear])
    shared = gpu.vfs_on or on_demand.lists(gpu)
    part = report.Deployable(
        resource_class="VGPU" if shared else "PGPU",
        traits=traits.product(KIND, VENDOR, gpu.device),
        accelerators=on_demand.units(gpu) if shared and not gpu.vfs_on else pci_function.accelerators(gpu),
        memory_mib=card.memory >> 20 if card.memory and not shared else None,
    )
    return report.Device(
        address=gpu.address,
        serial=card.serial,
        type=KIND,
        vendor=VENDOR,
        model=gpu.device,
        numa_node=gpu.numa_node,
        health=health,
        health_reasons=reasons,
        facts=gpu.facts() | pci_function.withheld(gpu) | card.facts,
        deployables=(part,),
    )


def _card(host: Host, gpu: PciFunction) -> _Card:
    if gpu.driver not in DRIVERS:
        return _Card(findings=(pci_health.NO_DRIVER,))
    if gpu.asleep:
        return _Card(findings=(pci_health.ASLEEP,))
    reader = Reader()
    facts: dict[str, Any] = {}
    serial = reader.text(gpu.node / "unique_id") if "unique_id" in gpu.names else None
    if "mem_info_vram_total" in gpu.names:
        facts["memory_bytes"] = reader.number(gpu.node / "mem_info_vram_total")
    if "current_compute_partition" in gpu.names:
        mode = reader.text(gpu.node / "current_compute_partition")
        facts["partition_mode"] = mode if mode in PARTITIONS else None
        facts["partitions"] = PARTITIONS.get(mode or "")
    # The name is often empty or unreadable on cards that are well.
    name = (gpu.node / "product_name").text()
    found = [*_ecc(gpu, reader), *_replays(gpu), *_pages(host, gpu, reader)]
    found += [finding for chip in hwmon.chips(gpu.node, "amdgpu") for finding in hwmon.heat(chip)]
    return _Card(
        serial=_serial(serial),
        memory=facts.get("memory_bytes"),
        facts=facts | ({"name": name} if name else {}),
        findings=(*found, *reader.findings),
    )


def _serial(text: str | None) -> str | None:
    digits = (text or "").lower().removeprefix("0x")
    return digits if re.fullmatch(r"[0-9a-f]{16}", digits) and int(digits, 16) else None


def _ecc(gpu: PciFunction, reader: Reader) -> Iterator[Finding]:
    """By the counts of all blocks; a card without them (a VF in a guest, say) is not worse for it.

    Corrected errors count as a sum, that of the same blocks each time: one that cannot be read must not look as if the
    others had been set back.
    """
    corrected: dict[str, int] = {}
    for file in (gpu.node / "ras").children("*_err_count"):
        text = reader.text(file)
        counts = dict(re.findall(r"(?m)^\s*(ue|ce)\s*:\s*(\d+)\s*$", text or ""))
        if text and counts.keys() != {"ue", "ce"}:
            yield pci_health.UNREADABLE
        if gpu.grew(f"ras/{file.name} ue", int(counts["ue"]) if "ue" in counts else None):
            yield UNCORRECTED
        if "ce" in counts:
            corrected[file.name] = int(counts["ce"])
    if corrected and gpu.grew(
        f"ras/{'+'.join(corrected)} ce", sum(corrected.values()), by=MANY_CORRECTED, first=MANY_CORRECTED
    ):
        yield CORRECTED


def _replays(gpu: PciFunction) -> Iterator[Finding]:
    """Packets that had to be sent again: how many there were before says nothing."""
    count = (gpu.node / REPLAYS).number() if REPLAYS in gpu.names else None
    if gpu.grew(REPLAYS, count, by=MANY_REPLAYS, first=None):
        yield REPLAYED


def _pages(host: Host, gpu: PciFunction, reader: Reader) -> Iterator[Finding]:
    """Lines ``address : size : flag`` with R for retired, P for pending, F for one that could not be retired."""
    for file in (gpu.node / "ras").children("gpu_vram_bad_pages"):
        lines = (reader.text(file) or "").splitlines()
        flags = [line.rpartition(":")[2].strip() for line in lines if ":" in line]
        limit = host.sys(PAGE_LIMIT).number()
        if flags:
            yield BAD_PAGES
        if limit is not None and 0 < limit <= flags.count("P"):
            yield UNCORRECTED


def _sensors(gpu: PciFunction) -> dict[str, float]:
    """The temperature at the edge of the chip, or of its hottest spot where that is the only one."""
    used, total = ((gpu.node / f"mem_info_vram_{name}").number() for name in ("used", "total"))
    found: dict[str, float | None] = {
        "utilisation_percent": (gpu.node / "gpu_busy_percent").number(),
        "memory_used_mib": used / MIB if used is not None else None,
        "memory_total_mib": total / MIB if total is not None else None,
    }
    for chip in hwmon.chips(gpu.node, "amdgpu"):
        found |= {"temp_c": hwmon.celsius(chip, "temp2"), **hwmon.sensors(chip)}
    return {name: value for name, value in found.items() if value is not None}
