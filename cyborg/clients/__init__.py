# SPDX-License-Identifier: Apache-2.0
"""Other services as we need them, each with a fake beside it."""
