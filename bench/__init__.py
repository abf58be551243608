# SPDX-License-Identifier: Apache-2.0
"""What the service costs and how fast it is; see `bench.lifecycle` and `bench.reports`."""
