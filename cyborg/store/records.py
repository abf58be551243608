# SPDX-License-Identifier: Apache-2.0
"""Stored rows as others see them: frozen, with ids, uuids and aware UTC times."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cyborg.domain import inventory, profile, report
from cyborg.domain.shape import Layout, Naming
from cyborg.store.models import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    id: int
    uuid: str
    hostname: str
    driver: str
    address: str
    serial: str | None
    type: report.DeviceType
    vendor: str
    model: str
    numa_node: int | None
    health: report.Health
    health_reasons: tuple[str, ...]
    facts: Mapping[str, Any]
    status: inventory.DeviceStatus
    absences: int
    generation: int
    created_at: datetime.datetime
    updated_at: datetime.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployableRecord:
    """``attributes`` are (key, value) in the order in which they were written, those of the API included.

    ``rp_uuid`` is the resource provider that carries it in the layout of its host.
    """

    id: int
    uuid: str
    parent_id: int | None
    root_id: int | None
    key: str
    name: str
    memory_mib: int | None
    num_accelerators: int
    device_id: int
    device_uuid: str
    hostname: str
    rp_uuid: str | None
    driver: str
    health: report.Health
    health_reasons: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]
    created_at: datetime.datetime
    updated_at: datetime.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRecord:
    id: int
    uuid: str
    deployable_id: int
    origin: Origin
    key: str
    value: str
    created_at: datetime.datetime
    updated_at: datetime.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRecord:
    """``groups`` is the text as given and in order; `cyborg.domain.profile.load_groups` gives it meaning.

    ``generation`` grows with every change.
    """

    id: int
    uuid: str
    name: str
    description: str | None
    groups: tuple[Mapping[str, str], ...]
    visibility: profile.Visibility
    generation: int
    created_at: datetime.datetime
    updated_at: datetime.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorRecord:
    """``arq_uuid`` is the request that holds it, None when nobody does; instance and project are that request's.

    ``fault`` is why it is not given out until an operator has looked at it.
    """

    id: int
    uuid: str
    key: str
    type: report.HandleType
    info: Mapping[str, str | None]
    state: inventory.AcceleratorState
    deployable_uuid: str
    device_uuid: str
    hostname: str
    arq_uuid: str | None
    instance_uuid: str | None
    project_id: str | None
    fault: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverReport:
    driver: str
    reported_at: datetime.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What an audit of one host found: ``number`` of differences, the first of them in ``differences``."""

    looked_at: str
    number: int
    differences: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """``seen_at`` is when its agent was last heard of; ``down_since`` is set while the conductors count it as down.

    ``accelerators`` counts by state, where there are any. ``drift`` is None when no audit has looked yet.
    """

    id: int
    uuid: str
    name: str
    status: inventory.HostStatus
    provider_uuid: str | None
    layout: Layout
    naming: Naming
    seen_at: datetime.datetime | None
    down_since: datetime.datetime | None
    reports: tuple[DriverReport, ...]
    accelerators: Mapping[str, int]
    drift: Drift | None
    created_at: datetime.datetime
    updated_at: datetime.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRecord:
    """``state`` is what it was doing when it was read; with ``ended_at`` it was given up."""

    id: int
    uuid: str
    kind: str
    state: str
    hostname: str | None
    subject: str | None
    attempts: int
    last_error: str | None
    next_at: datetime.datetime
    deadline: datetime.datetime | None
    ended_at: datetime.datetime | None
    created_at: datetime.datetime
    updated_at: datetime.datetime | None
