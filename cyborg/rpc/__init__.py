# SPDX-License-Identifier: Apache-2.0
"""How our processes speak; no behaviour."""
