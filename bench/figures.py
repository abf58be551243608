# SPDX-License-Identifier: Apache-2.0
"""Times as percentiles, and tables of plain text."""

from collections.abc import Sequence


def percentile(times: Sequence[float], share: float) -> float:
    """The time, in milliseconds, within which that share of ``times`` (in seconds) lies."""
    ordered = sorted(times)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The first column to the left, the others to the right; numbers with what decimals they need."""
    cells = [list(columns), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    return f"{cell:.1f}".removesuffix(".0") if isinstance(cell, float) else str(cell)
