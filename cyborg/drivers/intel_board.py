# SPDX-License-Identifier: Apache-2.0
"""An Intel FPGA board as one of its two kernel drivers shows it: the management engine and the ports.

    dfl       <function>/fpga_region/region0/{dfl-fme.0,dfl-port.0}              in the kernel
    legacy    <function>/fpga/intel-fpga-dev.0/{intel-fpga-fme.0,intel-fpga-port.0}    out of the tree

A PF has the engine (FME) and the ports it did not give to VFs; a VF has a port only. The numbers in those names
are global, not per card.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cyborg.domain.report import Health
from cyborg.drivers import hwmon, pci_health
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.pci_health import Finding
from cyborg.drivers.sysfs import Node

DEGRADED, FAILED = Health.DEGRADED, Health.FAILED
FATAL: Finding = (FAILED, "fatal_errors")
FME_ERRORS: Finding = (DEGRADED, "fme_errors")
PORT_ERRORS: Finding = (DEGRADED, "port_errors")
#: Where sensors are: the engine's own, or those of a board controller behind it.
SENSORS = ("hwmon/hwmon*", "*/hwmon/hwmon*", "*/spi_master/spi*/spi*/*/hwmon/hwmon*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Names in one of the two trees; ``errors`` are files of error words below the engine."""

    generation: str
    device: str
    engine: str
    port: str
    region: str
    errors: tuple[tuple[str, Finding], ...]


DFL = Layout(
    generation="dfl",
    device="fpga_region/region*",
    engine="dfl-fme.*",
    port="dfl-port.*",
    region="dfl-fme-region.*/fpga_region/region*/compat_id",
    errors=(
        ("errors/catfatal_errors", FATAL),
        ("errors/fme_errors", FME_ERRORS),
        ("errors/nonfatal_errors", FME_ERRORS),
        ("errors/pcie0_errors", FME_ERRORS),
        ("errors/pcie1_errors", FME_ERRORS),
    ),
)
LEGACY = Layout(
    generation="legacy",
    device="fpga/intel-fpga-dev.*",
    engine="intel-fpga-fme.*",
    port="intel-fpga-port.*",
    region="pr/interface_id",
    errors=(
        ("errors/catfatal_errors", FATAL),
        ("errors/fme-errors/errors", FME_ERRORS),
        ("errors/nonfatal_errors", FME_ERRORS),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """``engine`` is None on a VF; ``ports`` are those that belong to this very function."""

    layout: Layout
    engine: Node | None
    ports: tuple[Node, ...]

    def regions(self) -> list[str | None]:
        """The id of each region in the order on the card; None for an id that cannot be read."""
        return [file.text() for file in self.engine.search(self.layout.region)] if self.engine else []

    def functions(self) -> list[str | None]:
        """What is loaded, by port."""
        return [(port / "afu_id").text() for port in self.ports]

    def findings(self) -> Iterator[Finding]:
        for port in self.ports:
            yield from _word(port / "errors/errors", PORT_ERRORS)
            yield from _word(port / "power_state", (DEGRADED, "throttled"))
        if self.engine is None:
            return
        for path, finding in self.layout.errors:
            yield from _word(self.engine / path, finding)
        if any(file.text() for file in self.engine.search("dfl-fme-mgr.*/fpga_manager/fpga*/status")):
            yield DEGRADED, "program_failed"
        for chip in self._chips():
            yield from hwmon.heat(chip)

    def sensors(self) -> dict[str, float]:
        """``temp_c`` of the FPGA itself and ``power_w`` of the board, as far as there are sensors."""
        found: dict[str, float] = {}
        for chip in self._chips():
            temperature, power = _fpga_temperature(chip), (chip / "power1_input").number()
            found |= {"temp_c": temperature / 1000} if temperature is not None else {}
            found |= {"power_w": power / 1_000_000} if power is not None else {}
        if self.engine:
            whole = (self.engine / "thermal_mgmt/temperature").number()
            consumed = (self.engine / "power_mgmt/consumed").number(0)
            found |= {"temp_c": float(whole)} if whole is not None else {}
            found |= {"power_w": float(consumed)} if consumed is not None else {}
        return found

    def _chips(self) -> Iterator[Node]:
        for pattern in SENSORS if self.engine else ():
            yield from self.engine.search(pattern) if self.engine else ()


def read(function: PciFunction) -> Board | None:
    """None when neither kernel driver shows an engine or a port; of a sleeping card nothing is asked."""
    for layout in (DFL, LEGACY) if not function.asleep else ():
        for device in function.node.search(layout.device):
            engines, ports = tuple(device.children(layout.engine)), tuple(device.children(layout.port))
            if engines or ports:
                return Board(layout=layout, engine=engines[0] if engines else None, ports=ports)
    return None


def _word(file: Node, finding: Finding) -> Iterator[Finding]:
    """The finding when the error word is not 0; a file that is there and cannot be read is one too."""
    text = file.text()
    value = _hex(text) if text else None
    if value:
        yield finding
    if value is None and (text or file.present()):
        yield pci_health.UNREADABLE


def _hex(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None


def _fpga_temperature(chip: Node) -> int | None:
    """The sensor that is labelled as the FPGA's, or the only one of the engine's own chip."""
    for label in chip.children("temp*_label"):
        if "FPGA" in (label.text() or ""):
            return (chip / label.name.replace("_label", "_input")).number()
    return (chip / "temp1_input").number() if (chip / "name").text() == "dfl_fme_thermal" else None
