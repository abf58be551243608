# SPDX-License-Identifier: Apache-2.0
"""How a deployed schema becomes today's: alembic's environment and one file per revision."""
