# SPDX-License-Identifier: Apache-2.0
"""Images for FPGAs: what is accepted, and that nothing else is."""
