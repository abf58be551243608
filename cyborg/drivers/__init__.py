# SPDX-License-Identifier: Apache-2.0
"""Vendor facts: one file per family, and what the families share."""
