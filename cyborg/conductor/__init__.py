# SPDX-License-Identifier: Apache-2.0
"""Decides: plans reports, binds and releases accelerators, and drives the durable work that follows."""
