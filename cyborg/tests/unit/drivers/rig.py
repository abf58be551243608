# SPDX-License-Identifier: Apache-2.0
"""A driver on a host that answers as a kernel does, and its units, ready to be worked on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyborg.domain.host_work import Unit
from cyborg.drivers.base import Cleans, Prepares
from cyborg.drivers.twin import Twin
from cyborg.tests.unit.drivers import builders

PF = "0000:3b:00.0"
UUID = "5f5e4d3c-0000-4000-8000-000000000001"


class Rig:
    """``more`` is what a recording for a twin has beside its functions: disks, and what drivers show."""

    def __init__(
        self,
        directory: Path,
        family: str,
        pci: Mapping[str, Any],
        more: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.family = family
        self.twin = Twin({"pci": pci, **(more or {})}, directory)
        self.driver = builders.driver(family, options)

    def units(self) -> dict[str, Unit]:
        """By address of the card, part (if it has a name) and key, as ``0000:3b:00.0 vf1``."""
        return {
            " ".join(word for word in (device.address, part.key, one.key) if word): Unit(
                uuid=UUID,
                driver=f"{self.family}_driver",
                address=device.address,
                vendor=device.vendor,
                model=device.model,
                part=part.key,
                key=one.key,
                type=one.type,
                info=one.info,
            )
            for device in self.driver.discover(self.twin.host)
            for _, part in device.walk()
            for one in part.accelerators
        }

    def unit(self, key: str, address: str = PF, **changes: Any) -> Unit:
        found = self.units()[f"{address} {key}"]
        return Unit(**{name: getattr(found, name) for name in Unit.__dataclass_fields__} | changes)

    def prepare(self, unit: Unit) -> Mapping[str, str | None]:
        assert isinstance(self.driver, Prepares)
        return self.driver.prepare(self.twin.host, unit, {})

    def release(self, unit: Unit) -> None:
        assert isinstance(self.driver, Prepares)
        self.driver.release(self.twin.host, unit)

    def clean(self, unit: Unit) -> None:
        assert isinstance(self.driver, Cleans)
        self.driver.clean(self.twin.host, unit)

    def done(self) -> list[str]:
        """What was written and ordered, by its last part."""
        return [path.removeprefix("command/").replace("sys/bus/pci/", "") for path, _ in self.twin.writes]

    def orders(self) -> list[tuple[str, str]]:
        """The same with what was written, but for keeping the host's drivers off virtual functions."""
        written = zip(self.done(), (text for _, text in self.twin.writes), strict=True)
        return [(place, text) for place, text in written if "autoprobe" not in place]
