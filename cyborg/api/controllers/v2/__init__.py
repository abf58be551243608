# SPDX-License-Identifier: Apache-2.0
"""Version 2, with its microversions."""
