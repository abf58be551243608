# SPDX-License-Identifier: Apache-2.0
"""Everything about the distribution is in setup.cfg; pbr reads it."""

import setuptools

setuptools.setup(setup_requires=["pbr>=6.1.0"], pbr=True)
