# SPDX-License-Identifier: Apache-2.0
"""Images put into the region of an Intel FPGA: the one that was asked for, and a blank one between two guests.

The kernel's own driver (DFL) programs through the card's management engine, also the port that a VF has; it keeps the
port in reset meanwhile. What the port shows afterwards is what counts. A function that a guest had is lent to that
driver for it (`lending`), as nobody else can tell its port and function.
"""

from collections.abc import Mapping
from pathlib import Path

from cyborg.domain import errors
from cyborg.domain.host_work import Unit
from cyborg.drivers import commands, images, intel_board, intel_ports, lending, pci_reset, pci_work
from cyborg.drivers.fpga_cleaning import refusal
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import FOR_GUESTS, PciFunction
from cyborg.drivers.sysfs import Node

DRIVER = intel_ports.DRIVER
GROUP = "intel_fpga"
#: Drivers that do not live through a reset of the function.
REBIND = (DRIVER, "intel-fpga-pci")


def program(host: Host, unit: Unit, image: images.Image, file: Path) -> str:
    """As `base.Programs.program`."""
    card = pci_work.card(host, unit)
    function = _function(card, unit)
    _check(host, function, unit)
    _lend(host, card, function)
    shown = _put(host, card, function, image, file, always=False)
    lending.give_back(host, function, DRIVER)
    return shown


def blank(host: Host, unit: Unit, blanks: Mapping[str, str]) -> None:
    """Reset, then the operator's blank image for the region. Raises DriverError when there is none."""
    card = pci_work.card(host, unit)
    function = _function(card, unit)
    _check(host, function, unit)
    if not blanks:
        raise refusal(unit.address, f"[{GROUP}] blank_images is empty", GROUP)
    if function.driver in FOR_GUESTS and "reset" in function.names:
        pci_reset.reset(host, function, unit)
    _lend(host, card, function)
    region = _region(card)
    file = {_plain(name): Path(path) for name, path in blanks.items()}.get(region or "")
    if file is None:
        raise refusal(unit.address, f"[{GROUP}] blank_images has none for region {region}", GROUP)
    _put(host, card, function, _image(file, region), file, always=True)
    lending.give_back(host, function, DRIVER)


def reset(host: Host, unit: Unit) -> None:
    pci_reset.clean(host, unit, rebind=REBIND)


def _function(card: PciFunction, unit: Unit) -> PciFunction:
    found = pci_work.function(card, unit)
    if found is None:
        raise errors.DriverError(
            f"{unit.key} of {unit.address} is not there, and its port still has the function that it had. Give the "
            "port to a virtual function again, or cut the card's power."
        )
    return found


def _check(host: Host, function: PciFunction, unit: Unit) -> None:
    """Raises InUse while a guest or the host works with it."""
    pci_reset.check_vfs(function, unit)
    pci_work.check_use(host, function)


def _lend(host: Host, card: PciFunction, function: PciFunction) -> None:
    if function is not card and card.driver != DRIVER:
        raise errors.DriverError(f"{card.address} is not bound to {DRIVER}, which alone can program its regions.")
    lending.take(host, function, DRIVER)


def _image(file: Path, region: str | None) -> images.Image:
    """Errors name the region, as [intel_fpga] blank_images does, and not the file."""
    try:
        verdict = images.inspect(file, {images.Format.GBS})
    except OSError as exc:
        raise errors.DriverError(f"The blank image for region {region} cannot be read: {exc.strerror or exc}.") from exc
    if isinstance(verdict, images.Refusal):
        raise errors.DriverError(f"The blank image for region {region} is refused: {verdict.message}")
    return verdict


def _put(host: Host, card: PciFunction, function: PciFunction, image: images.Image, file: Path, *, always: bool) -> str:
    """Into the region of each port of the function; returns what they show then."""
    if not isinstance(image, images.Gbs) or image.region != _region(card):
        raise errors.DriverError(f"The image is for region {image.region}, and {card.address} has {_region(card)}.")
    board = intel_board.read(function)
    if board is None or not board.ports:
        raise errors.DriverError(f"{function.address} shows no port, so nothing can be programmed there.")
    wanted = image.functions[0]
    for port in board.ports:
        if always or _shown(port) != wanted:
            _order(host, card, port, image, file)
        if _shown(port) != wanted:
            raise errors.DriverError(
                f"{port.name} of {card.address} shows function {_shown(port)} after {wanted} was programmed. See the "
                "status of its FPGA manager."
            )
    return wanted


def _order(host: Host, card: PciFunction, port: Node, image: images.Gbs, file: Path) -> None:
    number = (port / "id").number(16)
    if number is None:
        raise errors.DriverError(f"{port.name} of {card.address} does not say its number.")
    with file.open("rb") as opened:
        opened.seek(image.payload_offset)
        payload = opened.read(image.payload_size)
    with pci_work.refusals(f"program port {number} of {card.address}"):
        host.command(commands.DFL_PROGRAM, card.address, number, payload)


def _region(card: PciFunction) -> str | None:
    board = intel_board.read(card)
    found = board.regions() if board else []
    return _plain(found[0]) if found and found[0] else None


def _shown(port: Node) -> str:
    return _plain((port / "afu_id").text() or "")


def _plain(identity: str) -> str:
    return identity.replace("-", "").lower()
