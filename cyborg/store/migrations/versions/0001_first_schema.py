# SPDX-License-Identifier: Apache-2.0
"""The first schema: hosts and their hardware, profiles, requests, operations."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
UUID = sa.String(36)
NAME = sa.String(255)
KIND = sa.String(32)
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TABLE_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    _create_requests()
    _create_hosts()
    _create_devices()
    _create_parts()
    _create_operations()


def _stamps() -> tuple[sa.Column[object], sa.Column[object]]:
    return sa.Column("created_at", TIME, nullable=False), sa.Column("updated_at", TIME)


def _create_requests() -> None:
    op.create_table(
        "device_profiles",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("groups", sa.JSON, nullable=False),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_device_profiles"),
        sa.UniqueConstraint("uuid", name="uq_device_profiles_uuid"),
        sa.UniqueConstraint("name", name="uq_device_profiles_name"),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "arqs",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("project_id", NAME),
        sa.Column("state", KIND, nullable=False),
        sa.Column("profile_name", NAME, nullable=False),
        sa.Column("group_id", sa.Integer, nullable=False),
        sa.Column("request_group", sa.JSON, nullable=False),
        sa.Column("hostname", NAME),
        sa.Column("device_rp_uuid", UUID),
        sa.Column("instance_uuid", UUID),
        sa.Column("fault", sa.Text),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_arqs"),
        sa.UniqueConstraint("uuid", name="uq_arqs_uuid"),
        **TABLE_OPTIONS,
    )
    op.create_index("ix_arqs_project_id", "arqs", ["project_id"])
    op.create_index("ix_arqs_instance_uuid", "arqs", ["instance_uuid"])
    op.create_table(
        "instances",
        sa.Column("instance_uuid", UUID, nullable=False),
        sa.Column("hostname", NAME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("instance_uuid", name="pk_instances"),
        **TABLE_OPTIONS,
    )


def _create_hosts() -> None:
    op.create_table(
        "hosts",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("provider_uuid", UUID),
        sa.Column("generation", ID, nullable=False),
        sa.Column("owned_traits", sa.JSON, nullable=False),
        sa.Column("seen_at", TIME),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_hosts"),
        sa.UniqueConstraint("uuid", name="uq_hosts_uuid"),
        sa.UniqueConstraint("name", name="uq_hosts_name"),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "reports",
        sa.Column("id", ID, nullable=False),
        sa.Column("host_id", ID, nullable=False),
        sa.Column("driver", NAME, nullable=False),
        sa.Column("digest", NAME, nullable=False),
        sa.Column("reported_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name="fk_reports_host_id", ondelete="CASCADE"),
        sa.UniqueConstraint("host_id", "driver", name="uq_reports_host_id_driver"),
        **TABLE_OPTIONS,
    )


def _create_devices() -> None:
    op.create_table(
        "devices",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("host_id", ID, nullable=False),
        sa.Column("driver", NAME, nullable=False),
        sa.Column("identity", sa.String(270), nullable=False),
        sa.Column("address", NAME, nullable=False),
        sa.Column("serial", NAME),
        sa.Column("type", KIND, nullable=False),
        sa.Column("vendor", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("numa_node", sa.Integer),
        sa.Column("health", KIND, nullable=False),
        sa.Column("health_reasons", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("status", KIND, nullable=False),
        sa.Column("absences", sa.Integer, nullable=False),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name="fk_devices_host_id"),
        sa.UniqueConstraint("host_id", "identity", name="uq_devices_host_id_identity"),
        sa.UniqueConstraint("uuid", name="uq_devices_uuid"),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "deployables",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("device_id", ID, nullable=False),
        sa.Column("parent_id", ID),
        sa.Column("root_id", ID),
        sa.Column("key", NAME, nullable=False),
        sa.Column("name", sa.String(767), nullable=False),
        sa.Column("memory_mib", ID),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_deployables"),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name="fk_deployables_device_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["deployables.id"], name="fk_deployables_parent_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["root_id"], ["deployables.id"], name="fk_deployables_root_id", ondelete="SET NULL"),
        sa.UniqueConstraint("device_id", "key", name="uq_deployables_device_id_key"),
        sa.UniqueConstraint("uuid", name="uq_deployables_uuid"),
        **TABLE_OPTIONS,
    )
    op.create_index("ix_deployables_parent_id", "deployables", ["parent_id"])
    op.create_index("ix_deployables_root_id", "deployables", ["root_id"])
    op.create_index("ix_deployables_name", "deployables", ["name"])


def _create_parts() -> None:
    op.create_table(
        "accelerators",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("deployable_id", ID, nullable=False),
        sa.Column("key", NAME, nullable=False),
        sa.Column("type", KIND, nullable=False),
        sa.Column("info", sa.JSON, nullable=False),
        sa.Column("missing", sa.Boolean, nullable=False),
        sa.Column("arq_uuid", UUID),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_accelerators"),
        sa.ForeignKeyConstraint(
            ["deployable_id"], ["deployables.id"], name="fk_accelerators_deployable_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["arq_uuid"], ["arqs.uuid"], name="fk_accelerators_arq_uuid"),
        sa.UniqueConstraint("deployable_id", "key", name="uq_accelerators_deployable_id_key"),
        sa.UniqueConstraint("uuid", name="uq_accelerators_uuid"),
        sa.UniqueConstraint("arq_uuid", name="uq_accelerators_arq_uuid"),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "attributes",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("deployable_id", ID, nullable=False),
        sa.Column("origin", KIND, nullable=False),
        sa.Column("key", sa.String(270), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_attributes"),
        sa.ForeignKeyConstraint(
            ["deployable_id"], ["deployables.id"], name="fk_attributes_deployable_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("deployable_id", "origin", "key", name="uq_attributes_deployable_id_origin_key"),
        sa.UniqueConstraint("uuid", name="uq_attributes_uuid"),
        **TABLE_OPTIONS,
    )


def _create_operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("owner", NAME),
        sa.Column("lease_until", TIME),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("deadline", TIME),
        sa.Column("last_error", sa.Text),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_operations"),
        sa.UniqueConstraint("uuid", name="uq_operations_uuid"),
        **TABLE_OPTIONS,
    )
    op.create_index("ix_operations_next_at", "operations", ["next_at"])
