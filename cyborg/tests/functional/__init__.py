# SPDX-License-Identifier: Apache-2.0
"""Several processes' worth of parts together, spoken to as clients speak to them."""
