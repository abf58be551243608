# SPDX-License-Identifier: Apache-2.0
"""Indexes for pages of lists, times of states, generations, closed hosts, and profiles shared with projects."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
NAME = sa.String(255)
KIND = sa.String(32)
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TABLE_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

#: A list that is sorted by one of these is read from where its page begins.
SORTED = {
    "hosts": ("status", "created_at"),
    "devices": ("type", "vendor", "model", "status", "created_at"),
    "deployables": ("created_at",),
    "accelerators": ("created_at",),
    "attributes": ("key", "created_at"),
    "device_profiles": ("created_at",),
    "arqs": ("project_id", "state", "hostname", "profile_name", "created_at"),
}
STATE_TIMES = ("bind_started_at", "bound_at", "bind_failed_at", "unbound_at", "unbind_failed_at")


def upgrade() -> None:
    op.add_column("hosts", sa.Column("status", KIND, nullable=False, server_default="enabled"))
    for table in ("devices", "device_profiles"):
        op.add_column(table, sa.Column("generation", ID, nullable=False, server_default=sa.text("0")))
    op.add_column("device_profiles", sa.Column("visibility", KIND, nullable=False, server_default="public"))
    for name in STATE_TIMES:
        op.add_column("arqs", sa.Column(name, TIME))
    _create_shares()
    op.drop_index("ix_arqs_project_id", "arqs")
    for table, columns in SORTED.items():
        for column in columns:
            op.create_index(f"ix_{table}_{column}_id", table, [column, "id"])


def _create_shares() -> None:
    op.create_table(
        "profile_shares",
        sa.Column("profile_id", ID, nullable=False),
        sa.Column("project_id", NAME, nullable=False),
        sa.PrimaryKeyConstraint("profile_id", "project_id", name="pk_profile_shares"),
        sa.ForeignKeyConstraint(
            ["profile_id"], ["device_profiles.id"], name="fk_profile_shares_profile_id", ondelete="CASCADE"
        ),
        **TABLE_OPTIONS,
    )
