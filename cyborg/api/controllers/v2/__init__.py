# SPDX-License-Identifier: Apache-2.0
"""Version 2, microversions 2.0 to 2.3."""
