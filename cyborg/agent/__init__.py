# SPDX-License-Identifier: Apache-2.0
"""One process per host: scan, report, publish."""
