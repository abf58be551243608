# SPDX-License-Identifier: Apache-2.0
"""Whether the host itself works with a function: its disk, the way to its network, or a program that drives it.

use = HostUse(host)              what the kernel lists is read once, when it is first needed: one for each scan
use.reason(function)             "disk_in_use", or None
"""

from collections.abc import Iterator
from functools import cached_property

from cyborg.drivers import nvme_controller
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.sysfs import Node

LINK_SCOPE = "20"
DEFAULT_ROUTE = ["0" * 32, "00"]
DISK = "disk_in_use"
NETWORK = "network_in_use"
PROGRAM = "program_in_use"
#: With these a program of the host, such as one built with DPDK or SPDK, drives the function.
FOR_PROGRAMS = frozenset({"uio_pci_generic", "igb_uio"})


def reason(host: Host, function: PciFunction) -> str | None:
    """For one function; see `HostUse`."""
    return HostUse(host).reason(function)


class HostUse:
    def __init__(self, host: Host) -> None:
        self._host = host

    def reason(self, function: PciFunction) -> str | None:
        """A short word when giving the function to a guest would take it from the host, else None."""
        if function.driver in FOR_PROGRAMS:
            return PROGRAM
        if any(
            self._in_use(part) for disk in self._disks(function) for part in (disk, *disk.children(f"{disk.name}*"))
        ):
            return DISK
        if any(self._carries(interface) for interface in (function.node / "net").children()):
            return NETWORK
        return None

    def _disks(self, function: PciFunction) -> Iterator[Node]:
        """The block devices on the function, and those it shares with other controllers of the same disk."""
        yield from self._by_function.get(function.address, ())
        for controller in nvme_controller.of(function):
            yield from controller.namespaces

    @cached_property
    def _by_function(self) -> dict[str, list[Node]]:
        """Block devices by each directory above them; the address of a function is one of those names."""
        found: dict[str, list[Node]] = {}
        for disk in self._host.sys("class/block").children():
            target = disk.target()
            for name in target.path.split("/")[:-1] if target else ():
                found.setdefault(name, []).append(target or disk)
        return found

    @cached_property
    def _mounts(self) -> list[list[str]]:
        return self._lines("self/mountinfo")

    @cached_property
    def _numbers(self) -> frozenset[str]:
        return frozenset(words[2] for words in self._mounts if len(words) > 2)  # noqa: PLR2004

    @cached_property
    def _names(self) -> frozenset[str]:
        """What is mounted or swapped on by name: the number of btrfs is one of its own."""
        mounted = {words[-2] for words in self._mounts if len(words) > 2}  # noqa: PLR2004
        swapped = {words[0] for words in self._lines("swaps")[1:]}
        parts = {f"/dev/{node.name}" for node in self._host.sys("fs/btrfs").search("*/devices/*")}
        return frozenset(mounted | swapped | parts)

    def _in_use(self, disk: Node) -> bool:
        held = (disk / "holders").names() or f"/dev/{disk.name}" in self._names
        return bool(held) or (disk / "dev").text() in self._numbers

    @cached_property
    def _routed(self) -> frozenset[str]:
        """Interfaces with a route of IPv4, with the default route of IPv6, or with an address that others can reach."""
        routes = {words[0] for words in self._lines("net/route")[1:]}
        further = {words[-1] for words in self._lines("net/ipv6_route") if words[:2] == DEFAULT_ROUTE}
        addresses = [words for words in self._lines("net/if_inet6") if len(words) == 6]  # noqa: PLR2004
        return frozenset(routes | further | {words[5] for words in addresses if words[3] != LINK_SCOPE})

    def _carries(self, interface: Node) -> bool:
        """It is part of another interface, below one, or in use itself."""
        joined = any(name == "master" or name.startswith("upper_") for name in interface.names() or ())
        return joined or interface.name in self._routed

    def _lines(self, file: str) -> list[list[str]]:
        """The words of each line that has some."""
        lines = (line.split() for line in (self._host.proc(file).text() or "").splitlines())
        return [words for words in lines if words]
