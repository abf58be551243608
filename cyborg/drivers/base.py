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

What a driver can do beyond looking are small protocols that are asked for with ``isinstance``. All host work is
idempotent: it looks at what is there and does what is missing, so it is simply repeated after a crash, whoever died.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from oslo_config import cfg

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.drivers import images
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


@runtime_checkable
class Prepares(Protocol):
    """A driver some of whose units must be made before a guest can have them, and taken back afterwards.

    Which ones, `host_work.needs_preparation` tells; to prepare another one changes nothing. Both check what they would
    take from other requests (``unit.held``) before they touch anything, and raise InUse.
    """

    def prepare(self, host: Host, unit: Unit, wish: Mapping[str, str]) -> Mapping[str, str | None]:
        """Make the unit ready and return what the hypervisor is to attach (`report.Accelerator.info`).

        ``wish`` is what the request asks of the unit, by name; empty for most.
        """
        ...

    def release(self, host: Host, unit: Unit) -> None:
        """Take back what was made for the unit; one for which nothing was made, or that is gone, is no error."""
        ...


@runtime_checkable
class Cleans(Protocol):
    """A driver that knows what makes a unit safe for its next guest."""

    def clean(self, host: Host, unit: Unit) -> None:
        """Returns when nothing of the last guest is left. Whatever it raises, the unit must not be given out."""
        ...


@runtime_checkable
class TakesImages(Protocol):
    """A driver of cards whose function comes from an image, and is known to differ by region."""

    image_formats: ClassVar[frozenset[images.Format]]

    def check_image(
        self, device: report.Device, unit: Unit, image: images.Image, function: str | None = None
    ) -> images.Refusal | None:
        """Why ``image`` must not go into the region of ``unit``, None when it may.

        Pure: ``device`` is the card as it was last reported, and is not touched. ``function`` is the one that was
        asked for, if one was.
        """
        ...


@runtime_checkable
class Programs(TakesImages, Protocol):
    """A driver that can itself put another function into a region."""

    def program(self, host: Host, unit: Unit, image: images.Image, file: Path) -> str:
        """Put the image into the region of ``unit`` and return the function that the card shows then.

        ``image`` is what `images.inspect` made of ``file``, and has passed `check_image`. A region that shows the
        function already is left as it is, so the call may be repeated. Raises InUse while something works with the
        region, and DriverError when the card refuses or shows another function afterwards, whatever a tool said;
        the region then holds nobody knows what, and must not be given out.
        """
        ...
