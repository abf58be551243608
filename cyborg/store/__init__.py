# SPDX-License-Identifier: Apache-2.0
"""The only room that speaks SQL: one module per resource, each function one visible statement or a few."""
