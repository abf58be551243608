# SPDX-License-Identifier: Apache-2.0
"""Virtual functions that are made when the first request needs one, on cards that the operator lists.

    vfs_on_demand = 0000:3b:00.0=4,0000:5e:00.0

The first card is offered as four VFs, the second one as as many as it can have, whether they exist or not. One that
does not exist has no address yet (nobody can know it before), so a request for it has to be prepared:

    {"parent": "0000:3b:00.0", "virtual_function": "2"}

When the last one is released, the card is whole again. VFs that the operator made are left alone.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from oslo_config import cfg

from cyborg.domain import errors, report
from cyborg.domain.host_work import Unit
from cyborg.drivers import actions, conflicts, pci_work
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import ADDRESS, FOR_GUESTS, PciFunction, key_of

DEST = "vfs_on_demand"
OPTION = cfg.ListOpt(
    DEST,
    default=[],
    help="PCI addresses of cards that are offered as virtual functions, which are made when a request needs one and "
    "taken back after the last; ADDRESS=COUNT for fewer than the card can have.",
)
ALL = -1


class Parts(Protocol):
    """What the VFs of a card are made of, where it has to leave the card first. Every call may be repeated."""

    def most(self, pf: PciFunction) -> int | None:
        """How many VFs that is enough for; None when it is not known."""
        ...

    def give(self, host: Host, pf: PciFunction, count: int) -> None:
        """Take from the card what so many VFs need, exactly."""
        ...

    def take_back(self, host: Host, pf: PciFunction) -> None:
        """Give it all back to the card, whose VFs are gone."""
        ...


class OnDemand:
    """``all_at_once`` is for cards whose driver enables all VFs, whatever number is asked for, and none without IOMMU.

    ``makers`` are the drivers that can make VFs of such a card, where not every one can; ``parts`` what VFs need.
    """

    def __init__(
        self,
        listed: Sequence[str],
        *,
        all_at_once: bool = False,
        makers: Collection[str] | None = None,
        parts: Parts | None = None,
    ) -> None:
        self._counts = dict(_parse(text) for text in listed)
        self._all_at_once = all_at_once
        self._makers = makers
        self._parts = parts

    def lists(self, pf: PciFunction) -> bool:
        """Whether the card is for VFs only: a listed one is never given away whole, also when it can have none."""
        return pf.address in self._counts

    def units(self, pf: PciFunction, extra: Mapping[str, str | None] | None = None) -> tuple[report.Accelerator, ...]:
        """VFs that could be made; none where there are some, nor where nothing on the host could make them."""
        if not self.lists(pf) or pf.vfs_on or not self._can_make(pf):
            return ()
        return tuple(
            report.Accelerator(
                key=key_of(number),
                type=report.HandleType.PCI,
                info={"parent": pf.address, "virtual_function": str(number)} | dict(extra or {}),
            )
            for number in range(self._wanted(pf))
        )

    def prepare(self, host: Host, unit: Unit) -> None:
        """Make the unit's VF exist, and with it all that the card is to have; nothing where it exists.

        Raises InUse when that would take something from another request, Conflict when it was never offered.
        """
        pf = pci_work.card(host, unit)
        number = pci_work.vf_number(unit)
        if number is None or number in pf.virtfns:
            return
        if not self.lists(pf) or number >= self._wanted(pf):
            raise errors.Conflict(f"{unit.address} is not to have a virtual function {number}; see {DEST}.")
        why = conflict(pf, unit)
        if why:
            raise errors.InUse(f"The number of virtual functions of {unit.address} must stay: {why}.")
        if "sriov_drivers_autoprobe" in pf.names and (pf.node / "sriov_drivers_autoprobe").text() != "0":
            with pci_work.refusals(f"keep the host's drivers off the virtual functions of {unit.address}"):
                host.act(actions.VF_AUTOPROBE, unit.address, "0")
        if self._parts:
            self._parts.give(host, pf, self._wanted(pf))
        with pci_work.refusals(f"make {self._wanted(pf)} virtual functions of {unit.address}"):
            host.act(actions.VF_COUNT, unit.address, str(self._wanted(pf)))
        self._check(host, unit, number)

    def release(self, host: Host, unit: Unit) -> None:
        """Take the VFs back when nobody uses one. A bound driver is use, except on cards of an operator's own VFs."""
        pf = pci_work.card(host, unit)
        if not self.lists(pf) or pci_work.vf_number(unit) is None:
            return
        existing = {vf.address: vf.driver for vf in pf.virtfns.values()}
        if pf.vfs_on and (not existing or conflicts.vf_removal(existing, self._wanted(pf), unit.held)):
            return
        if existing:
            with pci_work.refusals(f"take the virtual functions of {unit.address} back"):
                host.act(actions.VF_COUNT, unit.address, "0")
        if self._parts and self._can_make(pf):
            self._parts.take_back(host, pci_work.card(host, unit))

    def _check(self, host: Host, unit: Unit, number: int) -> None:
        """A driver may enable another number than it was asked for, so the links are followed and nothing computed."""
        made = pci_work.card(host, unit)
        if number not in made.virtfns:
            raise errors.DriverError(
                f"{unit.address} has {len(made.virtfns)} virtual functions now and number {number} is not among them. "
                "See the kernel's log."
            )

    def _can_make(self, pf: PciFunction) -> bool:
        if self._all_at_once and pf.iommu_group is None:
            return False
        return pf.driver not in FOR_GUESTS and (self._makers is None or pf.driver in self._makers)

    def _wanted(self, pf: PciFunction) -> int:
        total = (pf.sriov or {}).get("total", 0)
        count, most = self._counts[pf.address], self._parts.most(pf) if self._parts else None
        total = total if most is None else min(total, most)
        return total if self._all_at_once or count == ALL else min(count, total)


def conflict(pf: PciFunction, unit: Unit) -> str | None:
    """Why VFs cannot be made of the card for this unit: it is held whole, or has VFs already."""
    existing = [vf.address for vf in pf.virtfns.values()] or (["one that cannot be seen"] if pf.vfs_on else [])
    return conflicts.vf_count(pf.address, existing, unit.held)


def _parse(text: str) -> tuple[str, int]:
    address, _, count = text.strip().lower().partition("=")
    if not ADDRESS.fullmatch(address) or not (count.isdecimal() and int(count) if count else "=" not in text):
        raise errors.DriverError(f"{text!r} in {DEST} is not ADDRESS or ADDRESS=COUNT, such as 0000:3b:00.0=4.")
    return address, int(count) if count else ALL
