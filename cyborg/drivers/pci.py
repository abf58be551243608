# SPDX-License-Identifier: Apache-2.0
"""Any PCI function that the operator names with device_spec."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from oslo_config import cfg

from cyborg.domain import errors, report
from cyborg.domain.host_work import Unit
from cyborg.drivers import pci_function, pci_health, pci_reset, pci_spec, pci_work, traits, vf_demand
from cyborg.drivers.host import Host
from cyborg.drivers.host_use import HostUse
from cyborg.drivers.pci_function import PciFunction

BRIDGES = ("0600", "0604")
NO_CLASS = "class_unreadable"
#: Mass storage, memory, and what does not say what it is.
LASTING = ("01", "05", NO_CLASS[:2])


class PciDriver:
    option_group: ClassVar[str | None] = "pci"
    options: ClassVar[tuple[cfg.Opt, ...]] = (
        cfg.MultiStrOpt(
            "device_spec",
            default=[],
            deprecated_name="passthrough_whitelist",
            help="Functions to offer, one JSON object each, with the keys of Nova's option of that name: vendor_id, "
            "product_id, address or devname, and physical_network, managed, resource_class, traits. "
            "Without any, nothing is offered.",
        ),
        cfg.MultiStrOpt(
            "alias",
            default=[],
            help="Names for kinds of functions, one JSON object each: name, and vendor_id, product_id, "
            "resource_class or device_type. The name is shown among the facts of a device.",
        ),
        vf_demand.OPTION,
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._specs = pci_spec.parse_specs(options["device_spec"])
        self._aliases = pci_spec.parse_aliases(options["alias"])
        self._on_demand = vf_demand.OnDemand(options[vf_demand.DEST])

    def discover(self, host: Host) -> Iterator[report.Device]:
        use = HostUse(host)
        for function in host.pci() if self._specs else ():
            if function.is_vf or function.is_console or function.pci_class in BRIDGES:
                continue
            chosen = dict(self._chosen(function))
            if chosen:
                yield self._device(use, function, chosen)

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        self._on_demand.prepare(host, unit)
        return pci_work.info(self.discover(host), unit)

    def release(self, host: Host, unit: Unit) -> None:
        self._on_demand.release(host, unit)

    def clean(self, host: Host, unit: Unit) -> None:
        """Of a function that keeps what was stored in it a reset does not make it safe, and nothing else is known."""
        if (pci_work.card(host, unit).pci_class or NO_CLASS)[:2] in LASTING:
            raise errors.DriverError(
                f"{unit.address} stores data, which a reset leaves. Erase it by hand before it is given out again, or "
                "offer NVMe disks by nvme_ssd_driver."
            )
        pci_reset.clean(host, unit)

    def _chosen(self, function: PciFunction) -> Iterator[tuple[int, int]]:
        """(number of the VF, or -1 for the function itself; index of its spec).

        A PF that matches brings its VFs, also those for which there is no spec of their own.
        """
        own = self._match(function)
        if not function.vfs_on:
            if own is not None:
                yield -1, own
            return
        for number, unit in sorted(function.virtfns.items()):
            index = self._match(unit)
            index = own if index is None else index
            if index is not None:
                yield number, index

    def _match(self, function: PciFunction) -> int | None:
        return next((index for index, spec in enumerate(self._specs) if spec.matches(function)), None)

    def _device(self, use: HostUse, function: PciFunction, chosen: dict[int, int]) -> report.Device:
        withheld = dict(_withheld(use, function, chosen))
        unclear = [pci_health.UNREADABLE] if function.pci_class is None else []
        health, reasons = pci_health.verdict([*pci_health.findings(function), *unclear])
        facts = function.facts() | self._alias(function, next(iter(chosen.values())))
        if withheld:
            facts["withheld"] = {_unit(function, number).address: why for number, why in withheld.items()}
        own = self._match(function)
        return report.Device(
            address=function.address,
            type=report.DeviceType.PCI,
            vendor=function.vendor,
            model=function.device,
            numa_node=function.numa_node,
            health=health,
            health_reasons=reasons,
            facts=facts,
            deployables=tuple(
                self._deployable(
                    function,
                    "" if index == own else f"spec{index}",
                    self._specs[index],
                    [number for number, spec in chosen.items() if spec == index and number not in withheld],
                )
                for index in sorted(set(chosen.values()))
            ),
        )

    def _deployable(
        self, function: PciFunction, key: str, spec: pci_spec.Spec, numbers: list[int]
    ) -> report.Deployable:
        """A card that is for VFs only offers those that could be made, in place of itself."""
        on_demand = self._on_demand.lists(function) and numbers == [-1]
        return report.Deployable(
            key=key,
            resource_class=spec.resource_class,
            traits=traits.product(report.DeviceType.PCI, function.vendor, function.device) | spec.traits,
            accelerators=self._on_demand.units(function, spec.extra)
            if on_demand
            else tuple(
                report.pci_accelerator(pci_function.key_of(number), _unit(function, number).address, extra=spec.extra)
                for number in numbers
            ),
        )

    def _alias(self, function: PciFunction, index: int) -> dict[str, Any]:
        spec = self._specs[index]
        name = next((alias.name for alias in self._aliases if alias.matches(function, spec)), None)
        return {"alias": name} if name else {}


def _withheld(use: HostUse, function: PciFunction, chosen: dict[int, int]) -> Iterator[tuple[int, str]]:
    for number in chosen:
        unit = _unit(function, number)
        why = NO_CLASS if unit.pci_class is None else unit.withheld() or use.reason(unit)
        if why:
            yield number, why


def _unit(function: PciFunction, number: int) -> PciFunction:
    return function if number < 0 else function.virtfns[number]
