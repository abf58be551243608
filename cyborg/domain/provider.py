# SPDX-License-Identifier: Apache-2.0
"""What Placement should show of one resource provider, as far as it is ours."""

from collections.abc import Mapping
from dataclasses import dataclass

from cyborg.domain import inventory, report
from cyborg.domain.shape import Naming

GENERIC_CLASS = "CUSTOM_ACCELERATOR"
#: Device-local memory is an amount in MiB, never a count of accelerators.
MEMORY_PREFIX = f"{GENERIC_CLASS}_MEMORY_"
#: Each counts the units of one kind beside the generic class, and adds no accelerator to a request.
COUNTING_CLASSES = frozenset(f"{GENERIC_CLASS}_{kind}" for kind in report.DeviceType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Units of one class; ``total - reserved`` is what consumers hold or may still claim.

    ``max_unit`` is the most that one request may claim, None: all.
    """

    total: int
    reserved: int = 0
    max_unit: int | None = None

    @property
    def usable(self) -> int:
        return self.total - self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A class with total 0 must not be there.

    The compute node's own provider has no ``name`` here: others write on it too, so classes that are not named stay.
    A provider with a name, below ``parent_uuid``, is ours alone: made when it is not there, and without other classes.
    ``withdrawn`` are traits of ours that must not be there; any further one is somebody else's and stays.
    """

    uuid: str
    inventories: Mapping[str, Amount]
    traits: frozenset[str]
    withdrawn: frozenset[str]
    name: str | None = None
    parent_uuid: str | None = None


def class_of(part: inventory.Deployable, naming: Naming) -> str:
    return part.resource_class if naming is Naming.TYPED else GENERIC_CLASS


def classes_of(kind: report.DeviceType, part: inventory.Deployable, naming: Naming) -> tuple[str, ...]:
    """The class of a part of such a device, and the one that counts its units once more, if any does."""
    return (class_of(part, naming), *((counting_class(kind),) if naming is Naming.COUNTED else ()))


def counting_class(kind: report.DeviceType) -> str:
    return f"{GENERIC_CLASS}_{kind}"


def is_of_units(resource_class: str) -> bool:
    """Whether one of that class is one accelerator; memory, and what counts beside the generic class, are not."""
    return not resource_class.startswith(MEMORY_PREFIX) and resource_class not in COUNTING_CLASSES


def memory_class(kind: report.DeviceType) -> str:
    return MEMORY_PREFIX + kind


def is_withheld(device: inventory.Device, unit: inventory.Accelerator) -> bool:
    """Nobody holds it and nobody may have it; what is held is counted by the allocation of its consumer."""
    return unit.holder is None and device.state(unit) is not inventory.AcceleratorState.FREE
