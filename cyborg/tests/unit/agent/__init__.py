# SPDX-License-Identifier: Apache-2.0
"""The agent against the real Placement application and a conductor in memory."""
