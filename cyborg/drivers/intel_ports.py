# SPDX-License-Identifier: Apache-2.0
"""The ports of an Intel FPGA, which a card gives to its virtual functions one by one (`vf_demand.Parts`).

A port has to leave the card before there is a virtual function that can have it, and the kernel makes as many virtual
functions as ports have left, no more and no fewer: ``Documentation/fpga/dfl.rst``, "FPGA virtualization". One that left
is not shown any more; that there is one tells the engine's ``ports_num``, as ports are numbered from 0.
"""

from cyborg.domain import errors
from cyborg.drivers import commands, intel_board, pci_work
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction

#: The driver whose engine gives ports away.
DRIVER = "dfl-pci"


class Ports:
    """Looks at the card anew each time, so that any step may be repeated after a crash."""

    def most(self, pf: PciFunction) -> int | None:
        """None for a card that sleeps; one that does not tell has none to give."""
        return None if pf.asleep else _count(pf) or 0

    def give(self, host: Host, pf: PciFunction, count: int) -> None:
        """Let ``count`` ports leave, those with the lowest numbers first, or come back when more have left."""
        here, away = self._ports(pf)
        with pci_work.refusals(f"give {count} ports of {pf.address} to virtual functions"):
            for number in here[: max(0, count - len(away))]:
                host.command(commands.DFL_RELEASE, pf.address, number)
            for number in away[count:]:
                host.command(commands.DFL_ASSIGN, pf.address, number)

    def take_back(self, host: Host, pf: PciFunction) -> None:
        """All that left; for a card without virtual functions."""
        _, away = self._ports(pf)
        with pci_work.refusals(f"give {pf.address} its ports back"):
            for number in away:
                host.command(commands.DFL_ASSIGN, pf.address, number)

    @staticmethod
    def _ports(pf: PciFunction) -> tuple[list[int], list[int]]:
        """Numbers of those that the card has, and of those that left; raises DriverError when that cannot be told."""
        board, count = intel_board.read(pf), _count(pf)
        if board is None or count is None:
            raise errors.DriverError(
                f"{pf.address} does not tell how many ports it has. Bind it to {DRIVER}, and see the kernel's log."
            )
        here = sorted(number for port in board.ports if (number := (port / "id").number(16)) is not None)
        return here, [number for number in range(count) if number not in here]


def _count(pf: PciFunction) -> int | None:
    board = intel_board.read(pf)
    return (board.engine / "ports_num").number() if board and board.engine else None
