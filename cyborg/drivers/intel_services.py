# SPDX-License-Identifier: Apache-2.0
"""What an Intel QuickAssist device computes, chosen by the request that its virtual functions are made for.

    [intel_qat]
    vfs_on_demand = 0000:6b:00.0
    services_on_demand = sym;asym,dc

A listed device that is free is offered as each of these; the first request decides which one it is until it is free
again, and then it goes back to the first. The kernel takes other services only of a device that is down, and takes it
down only while nothing uses it: ``Documentation/ABI/testing/sysfs-driver-qat``.
"""

from collections.abc import Mapping, Sequence

from oslo_config import cfg

from cyborg.domain import errors
from cyborg.domain.host_work import Unit
from cyborg.drivers import actions, pci_work, vf_demand
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction

DEST = "services_on_demand"
OPTION = cfg.ListOpt(
    DEST,
    default=[],
    help="What devices listed in vfs_on_demand may be configured for when a request needs it: services joined by "
    "semicolons, such as sym;asym, and first what a free device has. Empty: services stay as they are.",
)
SERVICES = frozenset({"sym", "asym", "dc", "dcc", "decomp"})
UP, DOWN = "up", "down"
QAT = "qat"


class Choices:
    """Raises DriverError for what is no list of services."""

    def __init__(self, listed: Sequence[str], on_demand: vf_demand.OnDemand) -> None:
        self._on_demand = on_demand
        self._by_key = {_key(services): services for services in map(_parse, listed)}

    def of(self, pf: PciFunction) -> Mapping[str, frozenset[str]]:
        """By key of the part that is offered for it, in the operator's order; none where nothing can be chosen."""
        return self._by_key if self._on_demand.lists(pf) and QAT in pf.names else {}

    def part(self, pf: PciFunction, services: Sequence[str] | None) -> str:
        """The key of the part that a device with these services is offered as."""
        key = _key(frozenset(services or ()))
        return key if key in self.of(pf) else ""

    def prepare(self, host: Host, unit: Unit) -> None:
        """Configure the unit's device for the services of its part; raises InUse when others have VFs of it."""
        pf = pci_work.card(host, unit)
        wanted = self.of(pf).get(unit.part)
        if wanted is None or _is(pf, wanted):
            return
        why = vf_demand.conflict(pf, unit)
        if why:
            raise errors.InUse(f"{pf.address} cannot be configured for {_text(wanted)}: {why}.")
        _configure(host, pf, wanted)

    def release(self, host: Host, unit: Unit) -> None:
        """Back to the first services, when the device has no VFs any more."""
        pf = pci_work.card(host, unit)
        choices = self.of(pf)
        first = next(iter(choices.values()), None)
        if first is not None and unit.part in choices and not pf.vfs_on and not _is(pf, first):
            _configure(host, pf, first)


def words(text: str | None) -> frozenset[str]:
    """Services as the kernel and operators write them, with the older word for two of them."""
    found = {word.strip().lower() for word in (text or "").split(";")} - {""}
    return frozenset(found - {"cy"}) | ({"sym", "asym"} if "cy" in found else frozenset())


def _is(pf: PciFunction, wanted: frozenset[str]) -> bool:
    return _state(pf) == UP and _configured(pf) == wanted


def _configure(host: Host, pf: PciFunction, wanted: frozenset[str]) -> None:
    """Whatever the kernel refuses, the device is not left down if that can be helped."""
    with pci_work.refusals(f"configure {pf.address} for {_text(wanted)}"):
        if _state(pf) != DOWN:
            host.act(actions.QAT_STATE, pf.address, DOWN)
        try:
            if _configured(pf) != wanted:
                host.act(actions.QAT_SERVICES, pf.address, _text(wanted))
        except OSError:
            host.act(actions.QAT_STATE, pf.address, UP)
            raise
        host.act(actions.QAT_STATE, pf.address, UP)
    if not _is(pf, wanted):
        raise errors.DriverError(
            f"{pf.address} was to be up for {_text(wanted)} and is {_state(pf)} for {_text(_configured(pf))}. See the "
            "kernel's log."
        )


def _state(pf: PciFunction) -> str | None:
    return (pf.node / QAT / "state").text()


def _configured(pf: PciFunction) -> frozenset[str]:
    return words((pf.node / QAT / "cfg_services").text())


def _text(services: frozenset[str]) -> str:
    return ";".join(sorted(services))


def _key(services: frozenset[str]) -> str:
    return "-".join(sorted(services))


def _parse(text: str) -> frozenset[str]:
    found = words(text)
    if not found or not found <= SERVICES or ("dcc" in found and len(found) > 1):
        raise errors.DriverError(
            f"{text!r} in {DEST} is no list of services, such as sym;asym. There are: {', '.join(sorted(SERVICES))}. "
            "With dcc goes no other one."
        )
    return found
