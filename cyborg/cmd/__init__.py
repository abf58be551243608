# SPDX-License-Identifier: Apache-2.0
"""Entry points: with `wsgi` the only rooms that wire things together."""
