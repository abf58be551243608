# SPDX-License-Identifier: Apache-2.0
"""The publisher against the real Placement application."""
