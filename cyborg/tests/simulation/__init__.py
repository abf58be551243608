# SPDX-License-Identifier: Apache-2.0
"""A cloud in one thread: many hosts, a real Placement, a client of the shape of Nova; see `simulation`."""
