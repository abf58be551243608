# SPDX-License-Identifier: Apache-2.0
"""Tests of the conductor, over in-process messaging and a real database."""
