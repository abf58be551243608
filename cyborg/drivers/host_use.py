# SPDX-License-Identifier: Apache-2.0
"""Whether the host itself works with a function: its disk, or the way to its network."""

from collections.abc import Iterator

from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.sysfs import Node

LINK_SCOPE = "20"
DISK = "disk_in_use"
NETWORK = "network_in_use"


def reason(host: Host, function: PciFunction) -> str | None:
    """A short word when giving the function to a guest would take it from the host, else None."""
    if any(_disk_in_use(host, disk) for disk in _disks(host, function)):
        return DISK
    if any(_network_in_use(host, interface) for interface in (function.node / "net").children()):
        return NETWORK
    return None


def _disks(host: Host, function: PciFunction) -> Iterator[Node]:
    """The block devices and partitions that sit on the function."""
    place = host.sys(f"bus/pci/devices/{function.address}").target()
    for disk in host.sys("class/block").children():
        target = disk.target()
        if place is not None and target is not None and target.path.startswith(f"{place.path}/"):
            yield target


def _disk_in_use(host: Host, disk: Node) -> bool:
    if (disk / "holders").names():
        return True
    number = (disk / "dev").text()
    mounts = (host.proc("self/mountinfo").text() or "").splitlines()
    if number and any(line.split()[2:3] == [number] for line in mounts):
        return True
    swaps = (host.proc("swaps").text() or "").splitlines()[1:]
    return any(line.split()[:1] == [f"/dev/{disk.name}"] for line in swaps)


def _network_in_use(host: Host, interface: Node) -> bool:
    """It is part of a bond or bridge, a route goes through it, or it has an address that others can reach."""
    if (interface / "master").target() is not None:
        return True
    routes = (host.proc("net/route").text() or "").splitlines()[1:]
    if any(line.split()[:1] == [interface.name] for line in routes):
        return True
    addresses = [line.split() for line in (host.proc("net/if_inet6").text() or "").splitlines()]
    return any(len(words) == 6 and words[5] == interface.name and words[3] != LINK_SCOPE for words in addresses)  # noqa: PLR2004
