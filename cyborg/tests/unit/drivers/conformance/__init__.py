# SPDX-License-Identifier: Apache-2.0
"""The conformance kit, tested with drivers that have one fault each."""
