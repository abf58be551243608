# SPDX-License-Identifier: Apache-2.0
"""The service under the real Nova; run by ``tox -e nova``, see doc/source/contributor/nova.rst."""
