# SPDX-License-Identifier: Apache-2.0
"""Intel QuickAssist: a PF with VFs offers them, one without itself, and what it computes is a trait."""

import configparser
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from oslo_config import cfg
from oslo_log import log

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.drivers import host_use, intel_services, pci_health, pci_offer, pci_reset, pci_work, traits, vf_demand
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.sysfs import Node

LOG = log.getLogger(__name__)

VENDOR = "8086"
KIND = report.DeviceType.QAT
#: PF ids and the ids of their VFs: dh895xcc, dh89xxcc, c6xx, c3xxx, d15xx, c4xxx, 4xxx (three), 420xx, 6xxx. The class
#: is shared with other co-processors. A VF that was passed into this machine is a device of its own.
VF_OF = {
    "0435": "0443",
    "0434": "0442",
    "37c8": "37c9",
    "19e2": "19e3",
    "6f54": "6f55",
    "18a0": "18a1",
    "4940": "4941",
    "4942": "4943",
    "4944": "4945",
    "4946": "4947",
    "4948": "4949",
}
PF_OF = {vf: pf for pf, vf in VF_OF.items()}
#: The variant driver that can migrate a running guest: whoever attaches the VF must leave it bound.
KEPT = frozenset({"qat_vfio_pci", "qat-vfio-pci"})
FOR_GUESTS = KEPT | {None, "vfio-pci", "pci-stub"}

DOWN = "device_down"
SERVES_HOST = "serves_host"
FAILED, DEGRADED = report.Health.FAILED, report.Health.DEGRADED
#: How much a counter has to grow, and what counts at first sight: of corrected errors only the rate does.
ERRORS = (
    ("errors_fatal", 1, 1, (FAILED, "ras_fatal")),
    ("errors_nonfatal", 1, 1, (DEGRADED, "ras_nonfatal")),
    ("errors_correctable", 10, None, (DEGRADED, "ras_correctable")),
)


class IntelQatDriver:
    option_group: ClassVar[str | None] = "intel_qat"
    options: ClassVar[tuple[cfg.Opt, ...]] = (vf_demand.OPTION, intel_services.OPTION)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._on_demand = vf_demand.OnDemand(options[vf_demand.DEST], all_at_once=True)
        self._choices = intel_services.Choices(options[intel_services.DEST], self._on_demand)
        #: Nobody looks at a device that is down only for as long as it takes to configure it.
        self._configuring = threading.Lock()
        self._told_of_debugfs = False

    def discover(self, host: Host) -> Iterator[report.Device]:
        for function in host.pci():
            if function.vendor == VENDOR and function.device in VF_OF | PF_OF and not function.is_vf:
                with self._configuring:
                    device = self._device(host, function)
                yield device

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        with self._configuring:
            self._choices.prepare(host, unit)
        self._on_demand.prepare(host, unit)
        return pci_work.info(self.discover(host), unit)

    def release(self, host: Host, unit: Unit) -> None:
        self._on_demand.release(host, unit)
        with self._configuring:
            self._choices.release(host, unit)

    def clean(self, host: Host, unit: Unit) -> None:
        pci_reset.clean(host, unit)

    def _device(self, host: Host, function: PciFunction) -> report.Device:
        reader = pci_health.Reader()
        state = reader.text(function.node / "qat/state") if "qat" in function.names else None
        debug = self._debugfs(host, function)
        services = _services(function, debug, reader)
        parts, withheld = self._parts(host, function, state, services)
        health, reasons = pci_health.verdict(
            [*pci_health.findings(function), *reader.findings, *_findings(function, state, debug)]
        )
        return report.Device(
            address=function.address,
            type=KIND,
            vendor=VENDOR,
            model=function.device,
            numa_node=function.numa_node,
            health=health,
            health_reasons=reasons,
            facts=function.facts() | {"state": state, "services": services} | withheld,
            deployables=parts,
        )

    def _parts(
        self, host: Host, function: PciFunction, state: str | None, services: list[str] | None
    ) -> tuple[tuple[report.Deployable, ...], dict[str, Any]]:
        """One part, or one for each choice of services that a device still has; and what is withheld."""
        if state == intel_services.DOWN:
            return (), pci_offer.nothing(function, DOWN).facts
        if self._on_demand.lists(function) and not function.vfs_on:
            choices: Mapping[str, Iterable[str] | None] = self._choices.of(function) or {"": services}
            units = self._on_demand.units(function)
            return tuple(_part(function, words, units, key) for key, words in choices.items()), {}
        offer = pci_offer.of(function, lambda unit: _refuse(host, function, unit), _extra)
        key = self._choices.part(function, services)
        return (_part(function, services, offer.accelerators, key),), offer.facts

    def _debugfs(self, host: Host, function: PciFunction) -> Node | None:
        """The driver's directory there, which only root may see; asking its heartbeat wakes the card."""
        root = host.sys("kernel/debug")
        if root.names() is None and not self._told_of_debugfs:
            LOG.info("%s cannot be read: the heartbeat of QAT devices is not part of their health.", root.full)
            self._told_of_debugfs = True
        found = root.children(f"qat_*_{function.address}")
        return None if function.asleep else next(found, None)


def _services(function: PciFunction, debug: Node | None, reader: pci_health.Reader) -> list[str] | None:
    """What the device computes, for all its VFs; None when that is not known."""
    if "qat" in function.names:
        text = reader.text(function.node / "qat/cfg_services")
    else:
        text = _older(((debug / "dev_cfg").text() or "") if debug else "")
    return sorted(intel_services.words(text)) or None


def _older(text: str) -> str | None:
    """ServicesEnabled of the section GENERAL; there may be any number of others."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return parser.get("GENERAL", "ServicesEnabled", fallback=None)


def _findings(function: PciFunction, state: str | None, debug: Node | None) -> Iterator[pci_health.Finding]:
    if function.driver in FOR_GUESTS:
        yield pci_health.NO_DRIVER
    elif function.asleep:
        yield pci_health.ASLEEP
    if state == intel_services.DOWN:
        yield FAILED, DOWN
    reader = pci_health.Reader()
    listed = (function.node / "qat_ras").names() or frozenset()
    for name, by, first, finding in ERRORS:
        count = reader.number(function.node / "qat_ras" / name) if name in listed else None
        if function.grew(f"qat_ras/{name}", count, by=by, first=first):
            yield finding
    yield from reader.findings
    if debug:
        # To read the status is to ask the card; what failed in between, others asked.
        beats = (debug / "heartbeat/status").number() in (0, None)
        failures = (debug / "heartbeat/queries_failed").number()
        if function.grew("heartbeat/queries_failed", failures, first=None) or not beats:
            yield FAILED, "heartbeat_lost"


def _refuse(host: Host, function: PciFunction, unit: PciFunction) -> str | None:
    """A VF that the driver for VFs took computes for the host."""
    if unit is not function and unit.driver not in FOR_GUESTS:
        return SERVES_HOST
    return host_use.reason(host, unit)


def _extra(unit: PciFunction) -> Mapping[str, str]:
    return {"managed": "false"} if unit.driver in KEPT else {}


def _part(
    function: PciFunction, services: Iterable[str] | None, units: tuple[report.Accelerator, ...], key: str
) -> report.Deployable:
    """A VF that was passed into this machine is also known by the id of its PF, as its like are on their host."""
    family = PF_OF.get(function.device, function.device)
    return report.Deployable(
        key=key,
        resource_class="CUSTOM_QAT",
        traits=traits.product(KIND, VENDOR, function.device)
        | traits.product(KIND, VENDOR, family)
        | {f"CUSTOM_QAT_INTEL_SVC_{word.upper()}" for word in services or () if word in intel_services.SERVICES},
        accelerators=units,
    )
