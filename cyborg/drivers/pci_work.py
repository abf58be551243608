# SPDX-License-Identifier: Apache-2.0
"""What all host work on PCI cards shares: the right card, the right function of it, and what a refusal means."""

import contextlib
import errno
import posixpath
from collections.abc import Iterable, Iterator, Mapping

from cyborg.domain import errors, report
from cyborg.domain.host_work import Unit
from cyborg.drivers import actions, host_use
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction


def card(host: Host, unit: Unit) -> PciFunction:
    """The function that stands for the unit's device; raises NotFound when it is gone or another card is there."""
    found = next((function for function in host.pci() if function.address == unit.address), None)
    if found is None:
        raise errors.NotFound(f"There is no card at {unit.address} any more. The next report shows where it went.")
    if (found.vendor, found.device) != (unit.vendor, unit.model):
        raise errors.NotFound(
            f"At {unit.address} is {found.vendor}:{found.device} and not {unit.vendor}:{unit.model}: the card was "
            "replaced and nothing is done to the new one. The next report shows it."
        )
    return found


def function(pf: PciFunction, unit: Unit) -> PciFunction | None:
    """The function that the unit is, or is on; None for a VF that is not there."""
    number = vf_number(unit)
    return pf if number is None else pf.virtfns.get(number)


def vf_number(unit: Unit) -> int | None:
    """3 for the keys ``vf3`` and ``vf3_T4-2B_1``; None for what is on the card itself."""
    head = unit.key.partition("_")[0]
    digits = head.removeprefix("vf")
    return int(digits) if digits != head and digits.isdecimal() else None


def info(devices: Iterable[report.Device], unit: Unit) -> Mapping[str, str | None]:
    """What a hypervisor needs for the unit as it is now; raises Conflict when the device does not offer it."""
    for device in devices:
        if device.address != unit.address:
            continue
        for _, part in device.walk():
            for one in part.accelerators:
                if (part.key, one.key) == (unit.part, unit.key):
                    return one.info
    raise errors.Conflict(f"{unit.key} of the card {unit.address} is not offered by its driver now.")


def check_use(host: Host, function: PciFunction) -> None:
    """Raises InUse when the host works with the function: looked at anew, it may have begun with what a guest left."""
    why = host_use.reason(host, function)
    if why:
        raise errors.InUse(f"{function.address} is used by the host ({why}), and is left alone. Free it first.")


@contextlib.contextmanager
def refusals(what: str) -> Iterator[None]:
    """A kernel's refusal as an error that says what was tried: InUse when it may work later, else DriverError.

    Users read it, so it names the attribute that refused and not the path of its file.
    """
    try:
        yield
    except OSError as exc:
        reason = errno.errorcode.get(exc.errno or 0, "an error without a number")
        reason += f" at {posixpath.basename(str(exc.filename))}" if exc.filename else ""
        if exc.errno == errno.EBUSY:
            raise errors.InUse(f"Cannot {what}: in use ({reason}). It is tried again later.") from exc
        if exc.errno in (errno.EACCES, errno.EPERM):
            raise errors.DriverError(
                f"Cannot {what}: not allowed ({reason}). Give the agent its privileged helper, see [cyborg_sys_admin]."
            ) from exc
        raise errors.DriverError(f"Cannot {what}: the kernel answers {reason}. Its log says more.") from exc


def remove_mdev(host: Host, unit: Unit) -> None:
    """Take back the mediated device that a hypervisor made for the unit, if it is there, and on the unit's card.

    A uuid says nothing of where it is: raises Conflict for one on another card.
    """
    place = (host.sys("bus/mdev/devices") / unit.uuid).target()
    if place is None:
        return
    pf = card(host, unit)
    parts = set(place.path.split("/"))
    if not parts & {pf.address, *(vf.address for vf in pf.virtfns.values())}:
        raise errors.Conflict(f"The mediated device {unit.uuid} is not on the card {unit.address} and is left alone.")
    with refusals(f"remove the mediated device {unit.uuid}"):
        host.act(actions.REMOVE_MDEV, unit.uuid)
