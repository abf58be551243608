# SPDX-License-Identifier: Apache-2.0
"""Four beats per method: allow, load, act, answer. Each docstring lists the statuses."""
