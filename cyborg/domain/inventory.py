# SPDX-License-Identifier: Apache-2.0
"""What is stored of one host: the value that every decision starts from.

Everything that changes a host (a report, a claim, a release, disabling a device) is the same three beats:
load the host's inventory under the lock of its row, make a new one with a pure function, save the
difference. So two conductors never decide on the same host at once, and each decision can be tested without
a database.

    before = hosts.load(tx, "compute-1")
    after = reconcile.plan(before, report)          # or claim, release, set_status
    hosts.save(tx, before, after)
    publish(view.view(after))

Rows that do not exist yet have ``id`` None and a uuid of their own from the start.
"""

import dataclasses
import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cyborg.domain import report
from cyborg.domain.health import History, Standing, Verdict
from cyborg.domain.shape import DEFAULT_SHAPE, Shape


class DeviceStatus(StrEnum):
    """What the operator wants; reports never change it."""

    ENABLED = "enabled"
    MAINTAINING = "maintaining"


class HostStatus(StrEnum):
    """What the operator wants; a disabled host gives out nothing new, whatever its devices are."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class AcceleratorState(StrEnum):
    """``RESERVED`` is being prepared for its holder, ``CLEANING`` being made ready for the next one.

    ``FAILED`` is on a failed device, or could not be made safe for anybody.
    """

    FREE = "free"
    HELD = "held"
    RESERVED = "reserved"
    CLEANING = "cleaning"
    DISABLED = "disabled"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """``holder`` is the uuid of the accelerator request that holds it; ``missing`` when reports lack it.

    ``counted``: the holder's allocation counts it by its kind too, see `shape.Naming`. ``work`` is the uuid of the
    operation under way on it, and after that one failed (``quarantine`` says how) of the failed one. ``attached`` is
    what a preparation made, which the hypervisor attaches instead of ``info``; it stays until that was taken back.
    """

    id: int | None = None
    uuid: str
    key: str
    type: report.HandleType
    info: Mapping[str, str | None]
    holder: str | None = None
    counted: bool = False
    missing: bool = False
    work: str | None = None
    attached: Mapping[str, str | None] | None = None
    quarantine: str | None = None

    @property
    def is_kept(self) -> bool:
        """Not forgotten when reports lack it: somebody has it, or it is not known to be safe for anybody else."""
        return self.holder is not None or self.work is not None or self.quarantine is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployable:
    """``traits`` are all that hold for this part, those inherited from its parents included."""

    id: int | None = None
    uuid: str
    key: str
    parent_key: str | None = None
    name: str
    resource_class: str
    traits: frozenset[str] = frozenset()
    memory_mib: int | None = None
    accelerators: tuple[Accelerator, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """``absences`` counts complete reports in a row without it; see `reconcile`.

    ``health`` is what it counts as, and ``health_history`` what that was worked out from; see `cyborg.domain.health`.
    ``capabilities`` are what its driver can do beyond looking, see `report.Capability`.
    """

    id: int | None = None
    uuid: str
    driver: str
    address: str
    serial: str | None = None
    type: report.DeviceType
    vendor: str
    model: str
    numa_node: int | None = None
    health: report.Health = report.Health.OK
    health_reasons: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    status: DeviceStatus = DeviceStatus.ENABLED
    absences: int = 0
    capabilities: frozenset[str] = frozenset()
    health_history: History | None = None
    deployables: tuple[Deployable, ...] = ()

    @property
    def standing(self) -> Standing:
        counts = Verdict(health=self.health, reasons=self.health_reasons)
        return Standing(counts=counts, history=self.health_history)

    def with_standing(self, standing: Standing) -> "Device":
        return dataclasses.replace(
            self,
            health=standing.counts.health,
            health_reasons=standing.counts.reasons,
            health_history=standing.history,
        )

    def state(self, accelerator: Accelerator) -> AcceleratorState:
        """The first that applies; `cyborg.store.accelerators` says the same in SQL."""
        rules = (
            (accelerator.missing, AcceleratorState.MISSING),
            (accelerator.holder and accelerator.work, AcceleratorState.RESERVED),
            (accelerator.holder, AcceleratorState.HELD),
            (accelerator.quarantine is not None, AcceleratorState.FAILED),
            (accelerator.work, AcceleratorState.CLEANING),
            (self.status is DeviceStatus.MAINTAINING, AcceleratorState.DISABLED),
            (self.absences, AcceleratorState.MISSING),
            (self.health is report.Health.FAILED, AcceleratorState.FAILED),
        )
        return next((state for applies, state in rules if applies), AcceleratorState.FREE)

    def accelerators(self) -> Iterator[tuple[Deployable, Accelerator]]:
        for deployable in self.deployables:
            for accelerator in deployable.accelerators:
                yield deployable, accelerator


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host as the books have it.

    ``provider_uuid`` is its compute-node resource provider, None until its agent has found one.
    ``generation`` grows with every change of what Placement should show. ``owned_traits`` are all traits that
    this host ever showed for us: the only ones that we may take away again; ``owned_classes`` are the same of the
    classes on its compute-node provider. ``shape`` is how it is shown, ``moving_to`` what a reshape under way makes
    of it. ``down_since`` is when it was found to be down and its free accelerators were withheld; ``seen_at`` is when
    its agent last spoke, which is no decision and so no difference.
    """

    id: int | None = None
    name: str
    provider_uuid: str | None = None
    generation: int = 0
    owned_traits: frozenset[str] = frozenset()
    owned_classes: frozenset[str] = frozenset()
    shape: Shape = DEFAULT_SHAPE
    moving_to: Shape | None = None
    status: HostStatus = HostStatus.ENABLED
    down_since: datetime.datetime | None = None
    seen_at: datetime.datetime | None = field(default=None, compare=False)
    devices: tuple[Device, ...] = ()

    def units(self) -> Iterator[tuple[Device, Deployable, Accelerator]]:
        """Every accelerator, with its device as it counts: on a disabled host each one is taken for disabled."""
        for device in self.devices:
            counted = device
            if self.status is HostStatus.DISABLED:
                counted = dataclasses.replace(device, status=DeviceStatus.MAINTAINING)
            for deployable, accelerator in device.accelerators():
                yield counted, deployable, accelerator

    def map_accelerators(self, change: Callable[[Accelerator], Accelerator]) -> "Host":
        """The same host with ``change`` applied to each accelerator; unchanged parts stay the same objects."""
        return dataclasses.replace(self, devices=tuple(_map_device(device, change) for device in self.devices))


def _map_device(device: Device, change: Callable[[Accelerator], Accelerator]) -> Device:
    parts = tuple(_map_deployable(part, change) for part in device.deployables)
    return device if parts == device.deployables else dataclasses.replace(device, deployables=parts)


def _map_deployable(deployable: Deployable, change: Callable[[Accelerator], Accelerator]) -> Deployable:
    units = tuple(change(unit) for unit in deployable.accelerators)
    return deployable if units == deployable.accelerators else dataclasses.replace(deployable, accelerators=units)
