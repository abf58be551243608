# SPDX-License-Identifier: Apache-2.0
"""From what the API answers to a row: objects and lists are readable in a table, and themselves in JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from cliff import columns
from osc_lib.cli import format_columns


class CountsColumn(columns.FormattableColumn[Mapping[str, int]]):
    """Numbers by name; a table shows those that are not zero."""

    def human_readable(self) -> str:
        return ", ".join(f"{number} {name}" for name, number in self._value.items() if number) or "none"


class DriftColumn(columns.FormattableColumn[Mapping[str, Any]]):
    """How much differed, and when somebody looked."""

    def human_readable(self) -> str:
        return f"{self._value['number']} at {self._value['looked_at']}"


#: Objects that are read by their meaning, by the column that has them.
KNOWN: Mapping[str, type[columns.FormattableColumn[Any]]] = {
    "accelerators": CountsColumn,
    "before": CountsColumn,
    "after": CountsColumn,
    "drift": DriftColumn,
}


def row(found: Mapping[str, Any], chosen: Sequence[str]) -> tuple[Any, ...]:
    """The values of the columns ``chosen``; None for a member that is not there."""
    return tuple(_cell(column, found.get(column)) for column in chosen)


def _cell(column: str, value: Any) -> Any:
    if isinstance(value, dict):
        return KNOWN.get(column, format_columns.DictColumn)(value)
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return format_columns.ListDictColumn(value)
    return format_columns.ListColumn(value) if isinstance(value, list) else value
