# SPDX-License-Identifier: Apache-2.0
"""From what the API answers to a row: objects and lists are readable in a table, and themselves in JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from osc_lib.cli import format_columns


def row(found: Mapping[str, Any], columns: Sequence[str]) -> tuple[Any, ...]:
    """The values of ``columns``; None for a member that is not there."""
    return tuple(_cell(found.get(column)) for column in columns)


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return format_columns.DictColumn(value)
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return format_columns.ListDictColumn(value)
    return format_columns.ListColumn(value) if isinstance(value, list) else value
