# SPDX-License-Identifier: Apache-2.0
"""What a driver is: a class that reads a host and yields the devices it knows.

A driver has one required method. It reads `host`, never ``/sys``; it receives its options, never imports a
configuration; it yields values, never saves them. A whole driver:

    class LampDriver:
        option_group = "lamp_devices"
        options = (cfg.ListOpt("models", default=["cafe"], help="PCI device ids of lamps."),)

        def __init__(self, options: Mapping[str, Any]) -> None:
            self._models = options["models"]

        def discover(self, host: Host) -> Iterator[report.Device]:
            for function in host.pci():
                if function.vendor == "1a1a" and function.device in self._models and not function.is_vf:
                    yield report.Device(
                        address=function.address,
                        type=report.DeviceType.PCI,
                        vendor=function.vendor,
                        model=function.device,
                        numa_node=function.numa_node,
                        facts=function.facts(),
                        deployables=(report.Deployable(
                            resource_class="CUSTOM_LAMP",
                            traits=traits.product(report.DeviceType.PCI, function.vendor, function.device),
                            accelerators=pci_function.accelerators(function),
                        ),),
                    )

`discover` is a complete look: what it does not yield is not there. If it cannot look at all it raises, and
nothing changes; one odd device must not stop its neighbours, and reading through `host` takes care of that.
It only reads, and wakes nothing that sleeps. Values that change by themselves (temperatures) do not belong in a
device, or every report would differ from the last: a driver that has some offers `Measures` beside.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from oslo_config import cfg

from cyborg.domain import report
from cyborg.drivers.host import Host


class Driver(Protocol):
    """Constructed as ``Cls(options)`` with the values of ``options`` in ``option_group`` by name."""

    option_group: str | None = None
    options: Sequence[cfg.Opt] = ()

    def discover(self, host: Host) -> Iterable[report.Device]:
        """Every device of this family on the host; raises when it could not look."""
        ...


@runtime_checkable
class HasFurtherGroups(Protocol):
    """A driver with option groups whose names the operator chooses, such as one per type of virtual GPU."""

    @staticmethod
    def further_groups(options: Mapping[str, Any]) -> Mapping[str, Sequence[cfg.Opt]]:
        """Options by group, worked out from the driver's own; their values arrive as ``options[group]``."""
        ...


@runtime_checkable
class Measures(Protocol):
    """A driver that can read values which change all the time."""

    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        """Sensor values by device address, such as ``{"0000:3b:00.0": {"temp_c": 48.0}}``; no value, no entry."""
        ...
