# SPDX-License-Identifier: Apache-2.0
"""Mediated devices: parts of a card that whoever attaches one creates, with a uuid, below ``mdev_supported_types``.

    0000:3b:00.0/mdev_supported_types/nvidia-319/{name,available_instances,devices}

A place is a function that can have them, the card itself or one of its VFs, with what begins the keys of its units.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cyborg.domain import report
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.sysfs import Node

TYPES = "mdev_supported_types"

Place = tuple[str, PciFunction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Parts of one type; ``name`` is "" when nothing says it; ``mdevs`` are uuids of those that exist, by address."""

    name: str
    accelerators: tuple[report.Accelerator, ...]
    memory_mib: int | None = None
    mdevs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        return {"mdevs": {address: list(uuids) for address, uuids in self.mdevs.items()}} if self.mdevs else {}


def supported(places: Iterable[Place]) -> bool:
    return any(TYPES in function.names for _, function in places)


def in_use(places: Iterable[Place]) -> bool:
    """Whether any exists, of whatever type."""
    kinds = (kind for _, function in places for kind in (function.node / TYPES).children())
    return any((kind / "devices").names() for kind in kinds)


def offer(places: Iterable[Place], kind_name: str) -> Offer | None:
    """Those of a type that exist or could still be made; None when no place knows the type."""
    found = [(prefix, function, function.node / TYPES / kind_name) for prefix, function in places]
    kinds = [(prefix, function, kind) for prefix, function, kind in found if kind.names() is not None]
    if not kinds:
        return None
    name = next((text for _, _, kind in kinds if (text := (kind / "name").text())), kind_name)
    word = name.partition(" ")[2] or name
    made = {function.address: tuple(sorted((kind / "devices").names() or ())) for _, function, kind in kinds}
    units = [
        report.pci_accelerator(
            f"{prefix}{word}_{index}",
            function.address,
            kind=report.HandleType.MDEV,
            extra={"asked_type": kind_name, "vgpu_mark": f"{kind_name}_{index}"},
        )
        for prefix, function, kind in kinds
        for index in range(_left(kind) + len(made[function.address]))
    ]
    memory = re.search(r"framebuffer=(\d+)M", (kinds[0][2] / "description").text() or "")
    return Offer(
        name=name,
        accelerators=tuple(units),
        memory_mib=int(memory[1]) if memory else None,
        mdevs={address: uuids for address, uuids in made.items() if uuids},
    )


def _left(kind: Node) -> int:
    """Counted anew each time: what can still be made goes down when other places of the card fill up."""
    return max((kind / "available_instances").number() or 0, 0)
