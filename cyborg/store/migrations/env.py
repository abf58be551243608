# SPDX-License-Identifier: Apache-2.0
"""What alembic runs; the connection, and its transaction, come from `cyborg.store.schema`."""

from alembic import context

from cyborg.store import models

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=models.Base.metadata,
    compare_type=True,
    compare_server_default=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
