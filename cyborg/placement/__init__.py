# SPDX-License-Identifier: Apache-2.0
"""Make Placement equal to a view; used by the agent."""
