# SPDX-License-Identifier: Apache-2.0
"""Stored rows as others see them: frozen, with ids, uuids and aware UTC times."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cyborg.domain import inventory, report
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
    created_at: datetime.datetime
    updated_at: datetime.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployableRecord:
    """``attributes`` are (key, value) in the order in which they were written, those of the API included."""

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
    """``groups`` is the text as given and in order; `cyborg.domain.profile.load_groups` gives it meaning."""

    id: int
    uuid: str
    name: str
    description: str | None
    groups: tuple[Mapping[str, str], ...]
    created_at: datetime.datetime
    updated_at: datetime.datetime | None
