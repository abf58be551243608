# SPDX-License-Identifier: Apache-2.0
"""The tables. What must be unique is unique here, and every constraint has a name.

    hosts ──< reports                       what each driver reported last
      └──< devices ──< deployables ──< accelerators ──> arqs
                          │   └──< attributes           resource class, traits, and what the API added
                          └── parent, root              regions stand under their card
    device_profiles ──< profile_shares    instances    operations

Text compares byte by byte on every engine (MySQL by the ``utf8mb4_bin`` collation), so "Gpu" and "gpu" are two
names everywhere. Migrations are the truth of deployed schemas; a test holds the two equal.
"""

import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from cyborg.domain import arq, inventory, profile, report
from cyborg.domain.shape import Layout, Naming
from cyborg.store.columns import BigId, Choice, JoinedName, Name, PrefixedName, UtcDateTime, Uuid, now

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
TABLE_OPTIONS = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


class Origin(StrEnum):
    """Who wrote an attribute: reports replace their own only."""

    REPORT = "report"
    API = "api"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


def _sorted(*columns: str) -> tuple[Index, ...]:
    """An index for each: lists sorted, or filtered, by it are read from where their page begins."""
    return tuple(Index(None, column, "id") for column in columns)


class Stamped:
    """Rows that know when they were made and last changed."""

    created_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime, default=now, sort_order=100)
    updated_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime, onupdate=now, sort_order=101)


class Host(Stamped, Base):
    """``moving_layout`` and ``moving_naming`` are set while a reshape is under way, by a command that may have died.

    ``down_since`` is set while what is free there is withheld because its agent is silent. ``drift`` is what the last
    audit found there, null when none has looked.
    """

    __tablename__ = "hosts"
    __table_args__ = (*_sorted("status", "created_at"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[str] = mapped_column(Uuid, unique=True)
    name: Mapped[str] = mapped_column(Name, unique=True)
    provider_uuid: Mapped[str | None] = mapped_column(Uuid)
    generation: Mapped[int] = mapped_column(BigId, default=0)
    owned_traits: Mapped[list[str]] = mapped_column(JSON, default=list)
    seen_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime)
    layout: Mapped[Layout] = mapped_column(
        Choice(Layout, 32), default=Layout.COMPUTE_NODE, server_default=Layout.COMPUTE_NODE, sort_order=110
    )
    naming: Mapped[Naming] = mapped_column(
        Choice(Naming, 32), default=Naming.GENERIC, server_default=Naming.GENERIC, sort_order=111
    )
    moving_layout: Mapped[Layout | None] = mapped_column(Choice(Layout, 32), sort_order=112)
    moving_naming: Mapped[Naming | None] = mapped_column(Choice(Naming, 32), sort_order=113)
    owned_classes: Mapped[list[str] | None] = mapped_column(JSON, default=list, sort_order=114)
    status: Mapped[inventory.HostStatus] = mapped_column(
        Choice(inventory.HostStatus, 32), default=inventory.HostStatus.ENABLED, server_default="enabled", sort_order=200
    )
    down_since: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime, sort_order=201)
    drift: Mapped[dict[str, Any] | None] = mapped_column(JSON, sort_order=202)


class Report(Base):
    """The digest of the last settled report; "" asks the agent for a full one. ``sequence`` counts those stored."""

    __tablename__ = "reports"
    __table_args__ = (UniqueConstraint("host_id", "driver"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    host_id: Mapped[int] = mapped_column(ForeignKey("hosts.id", ondelete="CASCADE"))
    driver: Mapped[str] = mapped_column(Name)
    digest: Mapped[str] = mapped_column(Name)
    reported_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    sequence: Mapped[int] = mapped_column(BigId, default=0, server_default=text("0"))


class Device(Stamped, Base):
    __tablename__ = "devices"
    __table_args__ = (
        UniqueConstraint("host_id", "identity"),
        *_sorted("type", "vendor", "model", "status", "created_at"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[str] = mapped_column(Uuid, unique=True)
    host_id: Mapped[int] = mapped_column(ForeignKey("hosts.id"))
    driver: Mapped[str] = mapped_column(Name)
    identity: Mapped[str] = mapped_column(PrefixedName)
    address: Mapped[str] = mapped_column(Name)
    serial: Mapped[str | None] = mapped_column(Name)
    type: Mapped[report.DeviceType] = mapped_column(Choice(report.DeviceType, 32))
    vendor: Mapped[str] = mapped_column(Name)
    model: Mapped[str] = mapped_column(Name)
    numa_node: Mapped[int | None]
    health: Mapped[report.Health] = mapped_column(Choice(report.Health, 32))
    health_reasons: Mapped[list[str]] = mapped_column(JSON)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    status: Mapped[inventory.DeviceStatus] = mapped_column(Choice(inventory.DeviceStatus, 32))
    absences: Mapped[int]
    generation: Mapped[int] = mapped_column(BigId, default=0, server_default=text("0"), sort_order=200)
    capabilities: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True), sort_order=201)
    health_history: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), sort_order=202)


class Deployable(Stamped, Base):
    """``parent_id`` and ``root_id`` are null for the part at the top of its device."""

    __tablename__ = "deployables"
    __table_args__ = (UniqueConstraint("device_id", "key"), *_sorted("created_at"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[str] = mapped_column(Uuid, unique=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("deployables.id", ondelete="SET NULL"), index=True)
    root_id: Mapped[int | None] = mapped_column(ForeignKey("deployables.id", ondelete="SET NULL"), index=True)
    key: Mapped[str] = mapped_column(Name)
    name: Mapped[str] = mapped_column(JoinedName, index=True)
    memory_mib: Mapped[int | None] = mapped_column(BigId)


class Accelerator(Stamped, Base):
    """``arq_uuid`` is the holder: unique, so no request holds two, and one column, so no unit has two holders.

    ``work`` is the operation under way on it, or the one that failed where ``quarantine`` says why it cannot be given
    out until an operator has looked at it. ``attached`` is what a preparation made.
    """

    __tablename__ = "accelerators"
    __table_args__ = (UniqueConstraint("deployable_id", "key"), *_sorted("created_at"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[str] = mapped_column(Uuid, unique=True)
    deployable_id: Mapped[int] = mapped_column(ForeignKey("deployables.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(Name)
    type: Mapped[report.HandleType] = mapped_column(Choice(report.HandleType, 32))
    info: Mapped[dict[str, str]] = mapped_column(JSON)
    missing: Mapped[bool]
    arq_uuid: Mapped[str | None] = mapped_column(ForeignKey("arqs.uuid"), unique=True)
    work: Mapped[str | None] = mapped_column(Uuid, sort_order=200)
    attached: Mapped[dict[str, str | None] | None] = mapped_column(JSON(none_as_null=True), sort_order=201)
    quarantine: Mapped[str | None] = mapped_column(Text, sort_order=202)


class Attribute(Stamped, Base):
    """The only place of a deployable's resource class (key ``rc``) and traits (key ``trait:<name>``)."""

    __tablename__ = "attributes"
    __table_args__ = (UniqueConstraint("deployable_id", "origin", "key"), *_sorted("key", "created_at"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[str] = mapped_column(Uuid, unique=True)
    deployable_id: Mapped[int] = mapped_column(ForeignKey("deployables.id", ondelete="CASCADE"))
    origin: Mapped[Origin] = mapped_column(Choice(Origin, 32))
    key: Mapped[str] = mapped_column(PrefixedName)
    value: Mapped[str] = mapped_column(Text)


class DeviceProfile(Stamped, Base):
    __tablename__ = "device_profiles"
    __table_args__ = (*_sorted("created_at"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[str] = mapped_column(Uuid, unique=True)
    name: Mapped[str] = mapped_column(Name, unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    groups: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    generation: Mapped[int] = mapped_column(BigId, default=0, server_default=text("0"), sort_order=200)
    visibility: Mapped[profile.Visibility] = mapped_column(
        Choice(profile.Visibility, 32), default=profile.Visibility.PUBLIC, server_default="public", sort_order=201
    )


class ProfileShare(Base):
    """A project that sees a private profile."""

    __tablename__ = "profile_shares"
    __table_args__ = (TABLE_OPTIONS,)

    profile_id: Mapped[int] = mapped_column(ForeignKey("device_profiles.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(Name, primary_key=True)


class Arq(Stamped, Base):
    __tablename__ = "arqs"
    __table_args__ = (*_sorted("project_id", "state", "hostname", "profile_name", "created_at"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[str] = mapped_column(Uuid, unique=True)
    project_id: Mapped[str | None] = mapped_column(Name)
    state: Mapped[arq.State] = mapped_column(Choice(arq.State, 32))
    profile_name: Mapped[str] = mapped_column(Name)
    group_id: Mapped[int]
    request_group: Mapped[dict[str, Any]] = mapped_column(JSON)
    hostname: Mapped[str | None] = mapped_column(Name)
    device_rp_uuid: Mapped[str | None] = mapped_column(Uuid)
    instance_uuid: Mapped[str | None] = mapped_column(Uuid, index=True)
    fault: Mapped[str | None] = mapped_column(Text)
    bind_started_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime, sort_order=200)
    bound_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime, sort_order=201)
    bind_failed_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime, sort_order=202)
    unbound_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime, sort_order=203)
    unbind_failed_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime, sort_order=204)


class Instance(Base):
    """One row while an instance has requests bound: what makes two binds for one instance exclude each other."""

    __tablename__ = "instances"
    __table_args__ = (TABLE_OPTIONS,)

    instance_uuid: Mapped[str] = mapped_column(Uuid, primary_key=True)
    hostname: Mapped[str] = mapped_column(Name)
    created_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime, default=now)


class Operation(Stamped, Base):
    """Work that must still happen; ``lease_until`` ends the claim of an owner that died.

    ``hostname`` and ``subject`` (a server, a request or an accelerator) say what it is about. With ``ended_at`` it was
    given up, and is kept for a while to be read.
    """

    __tablename__ = "operations"
    __table_args__ = (*_sorted("kind", "hostname", "subject", "created_at"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[str] = mapped_column(Uuid, unique=True)
    kind: Mapped[str] = mapped_column(Name)
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    owner: Mapped[str | None] = mapped_column(Name)
    lease_until: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime, index=True)
    deadline: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(Text)
    hostname: Mapped[str | None] = mapped_column(Name, sort_order=200)
    subject: Mapped[str | None] = mapped_column(Uuid, sort_order=201)
    ended_at: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime, sort_order=202)
