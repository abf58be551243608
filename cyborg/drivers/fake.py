# SPDX-License-Identifier: Apache-2.0
"""Cards that do not exist: for tests, demonstrations and trying out a configuration."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from oslo_config import cfg

from cyborg.domain import errors, report
from cyborg.drivers import traits
from cyborg.drivers.host import Host

#: Bus of the first card; slot 0 function 0 is the card itself, its accelerators follow.
FIRST_BUS = 0x0C
MOST_ACCELERATORS = 255
CLASSES = {report.DeviceType.FPGA: "FPGA", report.DeviceType.GPU: "PGPU"}


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
    )

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
            accelerators=tuple(
                report.pci_accelerator(f"vf{unit}", _address(bus, unit + 1), kind=report.HandleType.TEST_PCI)
                for unit in range(self._options["accelerators"])
            ),
        )
        return report.Device(address=_address(bus, 0), type=kind, vendor=vendor, model=product, deployables=(part,))


def _address(bus: int, function: int) -> str:
    return f"{bus >> 8:04x}:{bus & 0xFF:02x}:{function >> 3:02x}.{function & 7}"
