# SPDX-License-Identifier: Apache-2.0
"""Cards that do not exist: for tests, demonstrations and trying out a configuration.

With ``host_work`` they have to be cleaned, or prepared and cleaned, as real ones do; it takes as long as it is told to,
and fails where it is told to.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from oslo_config import cfg

from cyborg.domain import errors, report
from cyborg.domain.host_work import Step, Unit
from cyborg.drivers import traits
from cyborg.drivers.host import Host

#: Bus of the first card; slot 0 function 0 is the card itself, its accelerators follow.
FIRST_BUS = 0x0C
MOST_ACCELERATORS = 255
CLASSES = {report.DeviceType.FPGA: "FPGA", report.DeviceType.GPU: "PGPU"}
NONE, CLEAN, PREPARE = "none", "clean", "prepare"


class FakeDriver:
    option_group: ClassVar[str | None] = "fake_devices"
    options: ClassVar[tuple[cfg.Opt, ...]] = (
        cfg.IntOpt("devices", default=1, min=0, max=4096, help="Number of cards on this host."),
        cfg.IntOpt(
            "accelerators", default=16, min=0, max=MOST_ACCELERATORS, help="Number of accelerators on each card."
        ),
        cfg.StrOpt(
            "type", default="FPGA", choices=[str(kind) for kind in report.DeviceType], help="Type of the cards."
        ),
        cfg.StrOpt("vendor", default="abcd", regex="[0-9a-f]{4}", help="PCI vendor id, four hex digits."),
        cfg.StrOpt("product", default="abcd", regex="[0-9a-f]{4}", help="PCI device id, four hex digits."),
        cfg.ListOpt("traits", default=["CUSTOM_FAKE_DEVICE"], help="Traits beside those of type, vendor and product."),
        cfg.BoolOpt("fail", default=False, help="Fail every scan, as a driver does that cannot look at its host."),
        cfg.StrOpt(
            "host_work",
            default=NONE,
            choices=[
                (NONE, "they are attached as they are, and free at once"),
                (CLEAN, "they are cleaned after each guest"),
                (PREPARE, "they are made for a guest, and cleaned and taken back afterwards"),
            ],
            help="What a host has to do around an accelerator.",
        ),
        cfg.FloatOpt("host_work_seconds", default=0.0, min=0.0, help="Seconds that each step of that takes."),
        cfg.ListOpt(
            "host_work_fails",
            default=[],
            help="Steps that fail, as STEP for every accelerator or STEP:KEY for one, such as clean:vf3.",
        ),
    )

    def __new__(cls, options: Mapping[str, Any]) -> Self:
        """What a driver can do is asked of its type."""
        kinds: dict[str, type[Any]] = {CLEAN: _Cleaning, PREPARE: _Preparing}
        made: Self = object.__new__(kinds.get(options.get("host_work", NONE), cls))
        return made

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    def discover(self, host: Host) -> Iterator[report.Device]:
        if self._options["fail"]:
            raise errors.DriverError("told to fail by [fake_devices] fail")
        for number in range(self._options["devices"]):
            yield self._device(FIRST_BUS + number)

    def _device(self, bus: int) -> report.Device:
        kind = report.DeviceType(self._options["type"])
        vendor, product = self._options["vendor"], self._options["product"]
        part = report.Deployable(
            resource_class=CLASSES.get(kind, f"CUSTOM_{kind}"),
            traits=traits.product(kind, vendor, product) | frozenset(self._options["traits"]),
            accelerators=tuple(self._unit(bus, number) for number in range(self._options["accelerators"])),
        )
        return report.Device(address=_address(bus, 0), type=kind, vendor=vendor, model=product, deployables=(part,))

    def _unit(self, bus: int, number: int) -> report.Accelerator:
        return report.pci_accelerator(f"vf{number}", _address(bus, number + 1), kind=report.HandleType.TEST_PCI)

    def _work(self, step: Step, unit: Unit) -> None:
        time.sleep(self._options["host_work_seconds"])
        if {str(step), f"{step}:{unit.key}"} & set(self._options["host_work_fails"]):
            raise errors.DriverError(f"told to fail by [fake_devices] host_work_fails: {step} {unit.key}")


class _Cleaning(FakeDriver):
    def clean(self, host: Host, unit: Unit) -> None:
        self._work(Step.CLEAN, unit)


class _Preparing(_Cleaning):
    """Nobody knows the address of a unit before it is made."""

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        self._work(Step.PREPARE, unit)
        domain, bus, _ = unit.address.split(":")
        return super()._unit(int(domain + bus, 16), int(unit.key.removeprefix("vf"))).info

    def release(self, host: Host, unit: Unit) -> None:
        self._work(Step.RELEASE, unit)

    def _unit(self, bus: int, number: int) -> report.Accelerator:
        info = {"parent": _address(bus, 0), "virtual_function": str(number)}
        return report.Accelerator(key=f"vf{number}", type=report.HandleType.TEST_PCI, info=info)


def _address(bus: int, function: int) -> str:
    return f"{bus >> 8:04x}:{bus & 0xFF:02x}:{function >> 3:02x}.{function & 7}"
