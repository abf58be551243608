# SPDX-License-Identifier: Apache-2.0
"""Cyborg: accelerators that a user can ask for in a flavor."""
