# SPDX-License-Identifier: Apache-2.0
"""NVMe disks of the vendors that the operator names: the PF, or its VFs, unless the host uses the disk."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from oslo_config import cfg, types

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.drivers import (
    hwmon,
    nvme_clean,
    nvme_controller,
    nvme_smart,
    pci_health,
    pci_offer,
    pci_work,
    traits,
    vf_demand,
)
from cyborg.drivers.host import Host
from cyborg.drivers.host_use import HostUse
from cyborg.drivers.nvme_controller import Controller
from cyborg.drivers.nvme_logs import SmartLogs
from cyborg.drivers.nvme_smart import Smart
from cyborg.drivers.pci_function import PciFunction

KIND = report.DeviceType.SSD
STORAGE = "0108"
#: The last byte of the class: NVMe, not one of the older interfaces.
INTERFACE = "02"
DRIVER = "nvme"
INSPUR = "1bd4"
SECTOR = 512
#: Behind an Intel VMD the domain has five digits; a guest can only get all disks of that domain, with the VMD.
USUAL_DOMAIN = 4
BEHIND_VMD = "behind_vmd"

DEAD: pci_health.Finding = (report.Health.FAILED, "controller_dead")
RESETTING: pci_health.Finding = (report.Health.DEGRADED, "controller_resetting")
STATES = {
    "live": None,
    "resetting": RESETTING,
    "connecting": RESETTING,
    "deleting": DEAD,
    "deleting (no io)": DEAD,
    "dead": DEAD,
}
NOT_TOLD: pci_health.Finding = (report.Health.UNKNOWN, "controller_state_unknown")


class NvmeSsdDriver:
    option_group: ClassVar[str | None] = "nvme_ssd"
    options: ClassVar[tuple[cfg.Opt, ...]] = (
        cfg.ListOpt(
            "vendors",
            default=[INSPUR],
            item_type=types.String(regex="(0[xX])?[0-9a-fA-F]{4}"),
            help="PCI vendor ids of the disks to offer, four hex digits each. A disk that the host uses is never "
            "offered; any other one of these vendors is, whatever is stored on it.",
        ),
        cfg.FloatOpt(
            "erase_timeout",
            default=1800.0,
            min=0.1,
            help="Seconds that a disk may take to erase itself between two guests.",
        ),
        cfg.BoolOpt(
            "smart",
            default=False,
            help="Whether the SMART log of each disk is part of its health and measures. To read it takes the agent's "
            "privileged helper, which is started for it.",
        ),
        vf_demand.OPTION,
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._vendors = frozenset(vendor.lower().removeprefix("0x") for vendor in options["vendors"])
        self._patience: float = options["erase_timeout"]
        self._logs = SmartLogs() if options["smart"] else None
        self._on_demand = vf_demand.OnDemand(options[vf_demand.DEST])

    def discover(self, host: Host) -> Iterator[report.Device]:
        use = HostUse(host)
        disks = [function for function in host.pci() if self._is_ours(function)]
        logs = self._read_logs(host, disks)
        for disk in disks:
            yield _device(use, disk, self._on_demand, logs.get(disk.address))

    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        """By the disk's own log, where that is read, and the kernel's word for the temperature before the disk's."""
        awake = [one for one in host.pci() if self._is_ours(one) and not one.asleep]
        found = {address: nvme_smart.sensors(log) for address, log in self._read_logs(host, awake).items()}
        for disk in awake:
            value = _temperature(disk)
            if value is not None:
                found.setdefault(disk.address, {})["temp_c"] = value
        return found

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        self._on_demand.prepare(host, unit)
        return pci_work.info(self.discover(host), unit)

    def release(self, host: Host, unit: Unit) -> None:
        self._on_demand.release(host, unit)

    def clean(self, host: Host, unit: Unit) -> None:
        nvme_clean.clean(host, unit, self._patience)

    def _read_logs(self, host: Host, disks: list[PciFunction]) -> Mapping[str, Smart]:
        return self._logs.read(host, disks) if self._logs else {}

    def _is_ours(self, function: PciFunction) -> bool:
        return function.vendor in self._vendors and _is_nvme(function) and not function.is_vf


def _is_nvme(function: PciFunction) -> bool:
    if function.pci_class != STORAGE:
        return False
    return ((function.node / "class").text() or "").endswith(INTERFACE)


def _device(use: HostUse, function: PciFunction, on_demand: vf_demand.OnDemand, smart: Smart | None) -> report.Device:
    controllers = nvme_controller.of(function)
    reader = pci_health.Reader()
    disk = _disk(controllers, reader)
    found = [*reader.findings, *_findings(function, controllers), *_smart(function, smart)]
    health, reasons = pci_health.verdict([*pci_health.findings(function), *found])
    offer = _offer(use, function, on_demand, dead=DEAD in found)
    part = report.Deployable(
        resource_class="CUSTOM_SSD",
        traits=traits.product(KIND, function.vendor, function.device),
        accelerators=offer.accelerators,
    )
    return report.Device(
        address=function.address,
        serial=disk.pop("serial", None),
        type=KIND,
        vendor=function.vendor,
        model=function.device,
        numa_node=function.numa_node,
        health=health,
        health_reasons=reasons,
        facts=function.facts() | disk | offer.facts,
        deployables=(part,),
    )


def _disk(controllers: list[Controller], reader: pci_health.Reader) -> dict[str, Any]:
    """What the kernel's driver shows; without it, or of a dead controller, the capacity is not known."""
    words: dict[str, Any] = {}
    for controller in controllers[:1]:
        known = {"model": "model", "serial": "serial", "firmware": "firmware_rev"}
        words = {fact: text for fact, name in known.items() if (text := controller.text(name))}
    disks = {disk.path: disk for controller in controllers for disk in controller.namespaces}
    sizes = [reader.number(disk / "size") for disk in disks.values()]
    known_sizes = [size for size in sizes if size is not None]
    complete = len(known_sizes) == len(sizes) and (sizes or any(c.text("state") == "live" for c in controllers))
    return words | {"capacity_bytes": sum(known_sizes) * SECTOR if complete else None}


def _findings(function: PciFunction, controllers: list[Controller]) -> Iterator[pci_health.Finding]:
    if not controllers:
        yield pci_health.ASLEEP if function.asleep else NOT_TOLD if function.driver == DRIVER else pci_health.NO_DRIVER
    for controller in controllers:
        state = controller.text("state")
        if state is not None:
            finding = STATES.get(state.lower(), NOT_TOLD)
            if finding:
                yield finding
        elif (controller.node / "state").present():
            yield pci_health.UNREADABLE


def _smart(function: PciFunction, smart: Smart | None) -> Iterator[pci_health.Finding]:
    """A log that cannot be read says nothing, and what grew before does so for a while."""

    def grew(name: str, value: int | None) -> bool:
        return function.grew(f"smart/{name}", value, first=None)

    yield from nvme_smart.findings(smart or Smart(), grew)


def _temperature(function: PciFunction) -> float | None:
    """Of the disk as a whole. The monitor stands below the controller, on older kernels below the function."""
    chips = [*function.node.search("nvme/nvme*/hwmon*"), *hwmon.chips(function.node, DRIVER)]
    values = (hwmon.celsius(chip, "temp1") for chip in chips)
    return next((value for value in values if value is not None), None)


def _offer(use: HostUse, function: PciFunction, on_demand: vf_demand.OnDemand, *, dead: bool) -> pci_offer.Offer:
    """A disk that the host uses is withheld with its VFs: nothing tells which of them reach the same data."""
    if dead:
        return pci_offer.nothing(function, DEAD[1])
    if len(function.address.partition(":")[0]) > USUAL_DOMAIN:
        return pci_offer.nothing(function, BEHIND_VMD)
    own = use.reason(function)
    if own:
        return pci_offer.nothing(function, own)
    if on_demand.lists(function) and not function.vfs_on:
        return pci_offer.Offer(accelerators=on_demand.units(function), withheld={})
    return pci_offer.of(function, use.reason)
