# SPDX-License-Identifier: Apache-2.0
"""Hosts that are down, and reports that are numbered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("hosts", sa.Column("down_since", TIME))
    op.add_column("reports", sa.Column("sequence", ID, nullable=False, server_default=sa.text("0")))
