# SPDX-License-Identifier: Apache-2.0
"""Records to the wire form; the field names that history gave us live here and nowhere else."""
