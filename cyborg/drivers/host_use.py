# SPDX-License-Identifier: Apache-2.0
"""Whether the host itself works with a function: its disk, the way to its network, or a program that drives it."""

from collections.abc import Iterator

from cyborg.drivers import nvme_controller
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.sysfs import Node

LINK_SCOPE = "20"
DEFAULT_ROUTE = ("0" * 32, "00")
DISK = "disk_in_use"
NETWORK = "network_in_use"
PROGRAM = "program_in_use"
#: With these a program of the host, such as one built with DPDK or SPDK, drives the function.
FOR_PROGRAMS = frozenset({"uio_pci_generic", "igb_uio"})


def reason(host: Host, function: PciFunction) -> str | None:
    """A short word when giving the function to a guest would take it from the host, else None."""
    if function.driver in FOR_PROGRAMS:
        return PROGRAM
    disks = [part for disk in _disks(host, function) for part in (disk, *disk.children(f"{disk.name}*"))]
    if disks and _any_in_use(host, disks):
        return DISK
    if any(_network_in_use(host, interface) for interface in (function.node / "net").children()):
        return NETWORK
    return None


def _disks(host: Host, function: PciFunction) -> Iterator[Node]:
    """The block devices on the function, and those it shares with other controllers of the same disk."""
    place = function.node.target()
    for disk in host.sys("class/block").children():
        target = disk.target()
        if place is not None and target is not None and target.path.startswith(f"{place.path}/"):
            yield target
    for controller in nvme_controller.of(function):
        yield from controller.namespaces


def _any_in_use(host: Host, disks: list[Node]) -> bool:
    """By number where the file system tells it, and by name: the number of btrfs is one of its own."""
    mounts = [line.split() for line in (host.proc("self/mountinfo").text() or "").splitlines()]
    swaps = [line.split() for line in (host.proc("swaps").text() or "").splitlines()[1:]]
    numbers = {words[2] for words in mounts if len(words) > 2}  # noqa: PLR2004
    names = {words[-2] for words in mounts if len(words) > 2} | {words[0] for words in swaps if words}  # noqa: PLR2004
    names |= {f"/dev/{node.name}" for node in host.sys("fs/btrfs").search("*/devices/*")}
    return any(
        (disk / "holders").names() or f"/dev/{disk.name}" in names or (disk / "dev").text() in numbers for disk in disks
    )


def _network_in_use(host: Host, interface: Node) -> bool:
    """It is part of another interface, a route goes through it, or it has an address that others can reach."""
    if any(name == "master" or name.startswith("upper_") for name in interface.names() or ()):
        return True
    routes = [line.split() for line in (host.proc("net/route").text() or "").splitlines()[1:]]
    if any(words[:1] == [interface.name] for words in routes):
        return True
    further = [line.split() for line in (host.proc("net/ipv6_route").text() or "").splitlines()]
    if any(words[-1:] == [interface.name] and tuple(words[:2]) == DEFAULT_ROUTE for words in further):
        return True
    addresses = [line.split() for line in (host.proc("net/if_inet6").text() or "").splitlines()]
    return any(len(words) == 6 and words[5] == interface.name and words[3] != LINK_SCOPE for words in addresses)  # noqa: PLR2004
