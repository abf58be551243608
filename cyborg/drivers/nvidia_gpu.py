# SPDX-License-Identifier: Apache-2.0
"""NVIDIA GPUs: found in sysfs, whoever's driver holds them; known better where NVML can see them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from oslo_config import cfg

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.drivers import mdev, nvidia_vgpu, nvidia_work, nvml, pci_function, pci_health, pci_work, traits
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction

VENDOR = "10de"
#: Cards with and without a display; NVSwitches, audio and USB functions have other classes.
CLASSES = ("0300", "0302")
#: For a card whose class cannot be read: drivers that hold nothing but GPUs, and GPUs that are known.
DRIVERS = ("nvidia", "nouveau", "nova_core")
DEVICES = frozenset({"15f7", "1eb8", "20b0", "20b5", "20f1", "2236", "2330", "2335", "26b9", "27b8"})
KIND = report.DeviceType.GPU

#: What a card has for guests, and facts that say why if it is nothing.
Parts = tuple[tuple[report.Deployable, ...], dict[str, Any]]


class NvidiaGpuDriver:
    option_group: ClassVar[str | None] = "gpu_devices"
    options: ClassVar[tuple[cfg.Opt, ...]] = (
        cfg.ListOpt(
            "enabled_vgpu_types",
            default=[],
            help="Types of virtual GPUs to offer, such as nvidia-223. Which card gets which type is said by "
            "device_addresses in [vgpu_<type>]; the first type is for all other cards if it has no addresses.",
        ),
        cfg.BoolOpt("filter_sriov_vfs", default=False, help="Do not offer SR-IOV virtual functions."),
    )

    def __init__(self, options: Mapping[str, Any], nvml_library: Any = None) -> None:
        """``nvml_library`` takes the place of the module ``pynvml``."""
        self._types = nvidia_vgpu.Types(options)
        self._filter_vfs: bool = options["filter_sriov_vfs"]
        self._library = nvml_library

    @staticmethod
    def further_groups(options: Mapping[str, Any]) -> Mapping[str, Sequence[cfg.Opt]]:
        addresses = cfg.ListOpt("device_addresses", default=[], help="PCI addresses of the cards that get this type.")
        return {nvidia_vgpu.group(name): (addresses,) for name in options["enabled_vgpu_types"]}

    def discover(self, host: Host) -> Iterator[report.Device]:
        gpus = _gpus(host)
        with nvml.opened(self._nvml(host, gpus)) as session:
            for gpu in gpus:
                yield self._device(host, gpu, session)

    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        gpus = _gpus(host)
        with nvml.opened(self._nvml(host, gpus)) as session:
            found = {gpu.address: session.sensors(gpu.address) for gpu in gpus if session and _visible(gpu)}
        return {address: sensors for address, sensors in found.items() if sensors}

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        nvidia_work.prepare(host, unit)
        return pci_work.info(self.discover(host), unit)

    def release(self, host: Host, unit: Unit) -> None:
        nvidia_work.release(host, unit)

    def clean(self, host: Host, unit: Unit) -> None:
        nvidia_work.clean(host, unit)

    def _nvml(self, host: Host, gpus: Sequence[PciFunction]) -> Any:
        """NVML speaks of this machine only, and is not started for cards that it cannot see."""
        if not any(_visible(gpu) for gpu in gpus):
            return None
        return self._library or (nvml.installed() if host.is_this_machine else None)

    def _device(self, host: Host, gpu: PciFunction, session: nvml.Session | None) -> report.Device:
        card = _card(host, gpu, session)
        unclear = [pci_health.UNREADABLE] if gpu.pci_class is None else []
        health, reasons = pci_health.verdict([*pci_health.findings(gpu), *card.findings, *unclear])
        parts, why = self._parts(gpu, card, session)
        known = {"name": card.name, "uuid": card.uuid}
        return report.Device(
            address=gpu.address,
            serial=card.serial,
            type=KIND,
            vendor=VENDOR,
            model=gpu.device,
            numa_node=gpu.numa_node,
            health=health,
            health_reasons=reasons,
            facts=gpu.facts() | {name: text for name, text in known.items() if text} | why,
            deployables=parts,
        )

    def _parts(self, gpu: PciFunction, card: nvml.Card, session: nvml.Session | None) -> Parts:
        if nvml.LOST in card.findings:
            return (), _nothing(gpu, nvml.LOST[1])
        parts, facts = self._for_guests(gpu, card, session)
        return parts, facts | ({} if card.mig is None else {"partition_mode": "MIG", "mig": list(card.mig)})

    def _for_guests(self, gpu: PciFunction, card: nvml.Card, session: nvml.Session | None) -> Parts:
        """Virtual GPUs where they are wanted; else VFs once there are any, else the card.

        Of a card in MIG mode only virtual GPUs reach guests, those of types that are made for it.
        """
        types, listed = self._types.of(gpu)
        offers = {name: nvidia_vgpu.offer(gpu, name, session if _visible(gpu) else None) for name in types}
        known = {name: offer for name, offer in offers.items() if offer}
        if known:
            return _virtual(gpu, known)
        if card.mig is not None:
            return (), {}
        if listed or nvidia_vgpu.in_use(gpu):
            return (), _nothing(gpu, f"lacks_{types[0]}" if listed else "serves_vgpus")
        if gpu.vfs_on:
            plain = {vf.address for vf in gpu.virtfns.values() if nvidia_vgpu.is_plain(vf) and not self._filter_vfs}
            units = tuple(unit for unit in pci_function.accelerators(gpu) if _at(unit) in plain)
            return _part(gpu, "VGPU", units), pci_function.withheld(gpu)
        return _part(gpu, "PGPU", pci_function.accelerators(gpu), card.memory_mib), pci_function.withheld(gpu)


def _gpus(host: Host) -> list[PciFunction]:
    """Without the host's console, unless it is the VFs of that card which are for guests."""
    found = [function for function in host.pci() if function.vendor == VENDOR and _is_gpu(function)]
    return [function for function in found if not function.is_vf and not function.is_console]


def _is_gpu(function: PciFunction) -> bool:
    """By class; where that cannot be read, by driver or id."""
    if function.pci_class is None:
        return function.driver in DRIVERS or function.device in DEVICES
    return function.pci_class in CLASSES


def _visible(gpu: PciFunction) -> bool:
    return gpu.driver == "nvidia" and not gpu.asleep


def _card(host: Host, gpu: PciFunction, session: nvml.Session | None) -> nvml.Card:
    if not _visible(gpu):
        return nvml.Card(findings=(pci_health.ASLEEP if gpu.driver == "nvidia" else nvml.NOT_VISIBLE,))
    if session is not None:
        return session.card(gpu)
    text = host.proc(f"driver/nvidia/gpus/{gpu.address}/information").text() or ""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    uuid = lines.get("GPU UUID", "").strip()
    return nvml.Card(
        name=lines.get("Model", "").strip() or None,
        uuid=uuid if uuid and "?" not in uuid else None,
        findings=(nvml.UNAVAILABLE,),
    )


def _virtual(gpu: PciFunction, offers: Mapping[str, mdev.Offer]) -> Parts:
    """One part for each type; those of further types only while they have units."""
    first, *further = offers
    offer = offers[first]
    facts: dict[str, Any] = {"vgpu_framework": nvidia_vgpu.framework(gpu), "vgpu_type": first}
    facts |= {"further_vgpu_types": further} if further else {}
    facts |= offer.facts
    parts = [
        _part(gpu, "VGPU", one.accelerators, one.memory_mib, traits.vgpu(VENDOR, gpu.device, one.name), key=key)
        for key, one in [("", offer), *((name, offers[name]) for name in further if offers[name].accelerators)]
    ]
    return tuple(part for each in parts for part in each), facts


def _nothing(gpu: PciFunction, why: str) -> dict[str, Any]:
    return {"withheld": {gpu.address: why}}


def _part(
    gpu: PciFunction,
    resource_class: str,
    units: tuple[report.Accelerator, ...],
    memory_mib: int | None = None,
    more_traits: frozenset[str] = frozenset(),
    *,
    key: str = "",
) -> tuple[report.Deployable, ...]:
    part = report.Deployable(
        key=key,
        resource_class=resource_class,
        traits=traits.product(KIND, VENDOR, gpu.device) | more_traits,
        accelerators=units,
        memory_mib=memory_mib,
    )
    return (part,)


def _at(unit: report.Accelerator) -> str:
    return "{domain}:{bus}:{device}.{function}".format(**unit.info)
