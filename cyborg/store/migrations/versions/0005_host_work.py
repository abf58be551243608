# SPDX-License-Identifier: Apache-2.0
"""Work on hosts, health with a history, operations that administrators can read, and what audits found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UUID = sa.String(36)
NAME = sa.String(255)
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("devices", sa.Column("capabilities", sa.JSON))
    op.add_column("devices", sa.Column("health_history", sa.JSON))
    op.add_column("accelerators", sa.Column("work", UUID))
    op.add_column("accelerators", sa.Column("attached", sa.JSON))
    op.add_column("accelerators", sa.Column("quarantine", sa.Text))
    op.add_column("operations", sa.Column("hostname", NAME))
    op.add_column("operations", sa.Column("subject", UUID))
    op.add_column("operations", sa.Column("ended_at", TIME))
    op.add_column("hosts", sa.Column("drift", sa.JSON))
    op.create_index("ix_operations_kind_id", "operations", ["kind", "id"])
    op.create_index("ix_operations_created_at_id", "operations", ["created_at", "id"])
    op.create_index("ix_operations_hostname_id", "operations", ["hostname", "id"])
    op.create_index("ix_operations_subject_id", "operations", ["subject", "id"])
