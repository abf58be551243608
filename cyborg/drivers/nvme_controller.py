# SPDX-License-Identifier: Apache-2.0
"""The NVMe controllers that the kernel's driver shows below a PCI function, and their namespaces.

    0000:5e:00.0/nvme/nvme1/{model,state,nvme1n1/size}     a controller with a namespace of its own
    0000:5e:00.0/nvme/nvme1/nvme0c1n1                      a path to nvme0n1, which several controllers share

The disk behind a path stands elsewhere (below ``nvme-subsystem``) and is what gets mounted. Very old kernels have
``misc/nvme1`` instead, and the disks in ``block``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.sysfs import Node

NAMESPACE = re.compile(r"nvme(\d+)(?:c\d+)?n(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """``namespaces`` are the block devices of those attached to it."""

    node: Node
    namespaces: tuple[Node, ...]

    def text(self, name: str) -> str | None:
        """What the disk says of itself, padded with blanks and in any bytes; None when it says nothing."""
        text = (self.node / name).text() or ""
        return "".join(character if character.isprintable() else "\ufffd" for character in text).strip() or None


def of(function: PciFunction) -> list[Controller]:
    """The local ones: a controller that is reached through a network is somebody else's disk."""
    places = [*function.node.search("nvme/nvme*"), *function.node.search("misc/nvme*")]
    found = []
    for place in places:
        if (place / "transport").text() in (None, "", "pcie"):
            disks = {disk.name: disk for disk in [*_disks(place), *_disks(function.node / "block")]}
            found.append(Controller(node=place, namespaces=tuple(disks.values())))
    return found


def _disks(place: Node) -> Iterator[Node]:
    for node in place.children("nvme*"):
        match = NAMESPACE.fullmatch(node.name)
        if match:
            yield _shared(node, f"nvme{match[1]}n{match[2]}")


def _shared(node: Node, name: str) -> Node:
    """The disk of this name; a path whose disk cannot be found stands for it."""
    if node.name == name:
        return node
    listed = (node.root_node / "class/block" / name).target()
    return listed or next(node.root_node.search(f"class/nvme-subsystem/nvme-subsys*/{name}"), node)
