# SPDX-License-Identifier: Apache-2.0
"""In which shape each host is shown in Placement. Hosts that are there keep the one that they have."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KIND = sa.String(32)


def upgrade() -> None:
    op.add_column("hosts", sa.Column("layout", KIND, nullable=False, server_default="compute_node"))
    op.add_column("hosts", sa.Column("naming", KIND, nullable=False, server_default="generic"))
    op.add_column("hosts", sa.Column("moving_layout", KIND))
    op.add_column("hosts", sa.Column("moving_naming", KIND))
    op.add_column("hosts", sa.Column("owned_classes", sa.JSON))
