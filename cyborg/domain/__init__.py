# SPDX-License-Identifier: Apache-2.0
"""What the words mean: frozen values and pure functions, no I/O."""
