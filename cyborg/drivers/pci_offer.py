# SPDX-License-Identifier: Apache-2.0
"""What a PF offers when a driver has a say in it: which units must stay here, and what is told with each of them.

    def refuse(unit): return "serves_host" if unit.driver == "4xxxvf" else None
    offer = pci_offer.of(function, refuse)
    offer.accelerators          the VFs when SR-IOV is on, else the PF, without those that are withheld
    offer.facts                 {"withheld": {"0000:f3:00.1": "serves_host"}}

What no driver may give away (`PciFunction.withheld`) is never offered, whatever ``refuse`` says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cyborg.domain import report
from cyborg.drivers.pci_function import PciFunction, key_of

#: A short word when the unit must not be given away, else None.
Refuse = Callable[[PciFunction], str | None]
#: What the hypervisor is told beside the address.
Extra = Callable[[PciFunction], Mapping[str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """``withheld`` are reasons by address."""

    accelerators: tuple[report.Accelerator, ...] = ()
    withheld: Mapping[str, str]

    @property
    def facts(self) -> dict[str, Any]:
        return {"withheld": dict(self.withheld)} if self.withheld else {}


def of(function: PciFunction, refuse: Refuse, extra: Extra = lambda _: {}) -> Offer:
    units = units_of(function)
    withheld = {unit.address: why for _, unit in units if (why := unit.withheld() or refuse(unit))}
    return Offer(
        accelerators=tuple(
            report.pci_accelerator(key_of(number), unit.address, extra=extra(unit))
            for number, unit in units
            if unit.address not in withheld
        ),
        withheld=withheld,
    )


def nothing(function: PciFunction, why: str) -> Offer:
    """All of the PF is withheld for one reason."""
    return Offer(withheld={function.address: why})


def units_of(function: PciFunction) -> list[tuple[int, PciFunction]]:
    """The VFs by their number when SR-IOV is on, else the PF as number -1."""
    return sorted(function.virtfns.items()) if function.vfs_on else [(-1, function)]
