# SPDX-License-Identifier: Apache-2.0
"""Intel network cards of the 700 and 800 series: VFs, or ports that the host does not use, on physical networks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from oslo_config import cfg
from oslo_log import log

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.domain.view import trait_token
from cyborg.drivers import (
    intel_ddp,
    nic_mapping,
    pci_health,
    pci_offer,
    pci_reset,
    pci_work,
    traits,
    vf_demand,
)
from cyborg.drivers.host import Host
from cyborg.drivers.host_use import HostUse
from cyborg.drivers.pci_function import PciFunction

LOG = log.getLogger(__name__)

VENDOR = "8086"
KIND = report.DeviceType.NIC
ETHERNET = "0200"
#: X710, XL710, XXV710, X722, the N3000's own; E810, and the embedded E822 and E823.
PORTS_700 = "1572 1580 1581 1583 1584 1585 1586 1589 158a 158b 15ff 37d0 37d1 37d2 0cf8 0d58"
PORTS_800 = "1591 1592 1593 1599 159a 159b 1880 1881 1882 1883 1884 1885 1886 1887 1888 188a 188b 188c 188d 188e 188f"
PORTS = frozenset(f"{PORTS_700} {PORTS_800}".split())
#: A VF that was passed into this machine is a device of its own.
VFS = frozenset({"154c", "37cd", "1889"})


class IntelNicDriver:
    option_group: ClassVar[str | None] = "nic_devices"
    options: ClassVar[tuple[cfg.Opt, ...]] = (
        cfg.ListOpt(
            nic_mapping.TYPES,
            default=[],
            help="Names of sections, such as x710_static, that say which ports are on which physical network "
            "(physical_device_mappings) and what they are made for (function_device_mappings).",
        ),
        vf_demand.OPTION,
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._mappings = nic_mapping.parse(options)
        self._on_demand = vf_demand.OnDemand(options[vf_demand.DEST])
        self._interfaces: dict[str, frozenset[str]] = {}
        self._told: frozenset[str] = frozenset()

    @staticmethod
    def further_groups(options: Mapping[str, Any]) -> Mapping[str, Sequence[cfg.Opt]]:
        return dict.fromkeys(options[nic_mapping.TYPES], nic_mapping.OPTIONS)

    def discover(self, host: Host) -> Iterator[report.Device]:
        ddp, use = intel_ddp.Ddp(host.tools), HostUse(host)
        known: set[str] = set()
        for port in host.pci():
            if port.vendor != VENDOR or port.is_vf or port.pci_class not in (ETHERNET, None):
                continue
            names = self._names(port)
            known |= names
            if names & self._mappings.ports or port.device in PORTS | VFS:
                yield self._device(use, port, names, ddp)
        self._tell_unknown(self._mappings.ports - known)

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        self._on_demand.prepare(host, unit)
        return pci_work.info(self.discover(host), unit)

    def release(self, host: Host, unit: Unit) -> None:
        self._on_demand.release(host, unit)

    def clean(self, host: Host, unit: Unit) -> None:
        pci_reset.clean(host, unit)

    def _names(self, port: PciFunction) -> frozenset[str]:
        """Address and interface names; the kernel forgets those while a guest has the port, we do not."""
        found = frozenset(node.name for node in (port.node / "net").children() if _is_own(node.name, port))
        if found:
            self._interfaces[port.address] = found
        return self._interfaces.get(port.address, found) | {port.address}

    def _tell_unknown(self, unknown: frozenset[str]) -> None:
        for name in sorted(unknown - self._told):
            LOG.warning("%s is mapped to a network or function, and no Intel port of this host has that name.", name)
        self._told = unknown

    def _device(self, use: HostUse, port: PciFunction, names: frozenset[str], ddp: intel_ddp.Ddp) -> report.Device:
        network = next((self._mappings.networks[name] for name in sorted(names & set(self._mappings.networks))), None)
        functions = sorted({function for name in names for function in self._mappings.functions.get(name, ())})
        offer = pci_offer.of(port, use.reason, lambda _: {"physical_network": network})
        shared = port.vfs_on or self._on_demand.lists(port)
        if shared and not port.vfs_on:
            units = self._on_demand.units(port, {"physical_network": network})
            offer = pci_offer.Offer(accelerators=units, withheld={})
        package, found = ddp.of(port)
        health, reasons = pci_health.verdict([*pci_health.findings(port), *found])
        part = report.Deployable(
            resource_class="CUSTOM_NIC",
            traits=traits.product(KIND, VENDOR, port.device)
            | _of_units(port, shared=shared)
            | _named("PHYSNET", [network] if network else [])
            | _named("FUNCTION", functions),
            accelerators=offer.accelerators,
        )
        return report.Device(
            address=port.address,
            type=KIND,
            vendor=VENDOR,
            model=port.device,
            numa_node=port.numa_node,
            health=health,
            health_reasons=reasons,
            facts=port.facts() | {"interfaces": sorted(names - {port.address}), "ddp": package} | offer.facts,
            deployables=(part,),
        )


def _is_own(name: str, port: PciFunction) -> bool:
    """Not a representor of a VF or of a part of the port: those say which in their port name, ``pf0vf3``."""
    label = (port.node / "net" / name / "phys_port_name").text() or "p"
    return label == "p" or (label.startswith("p") and label[1:].isdecimal())


def _of_units(port: PciFunction, *, shared: bool) -> frozenset[str]:
    kind = "VF" if shared or port.device in VFS else "PF"
    return frozenset({f"CUSTOM_NIC_INTEL_{kind}"})


def _named(kind: str, names: Sequence[str]) -> frozenset[str]:
    return frozenset(f"CUSTOM_NIC_{kind}_{token}" for name in names if (token := trait_token(name)))
