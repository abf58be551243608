# SPDX-License-Identifier: Apache-2.0
"""One page of a list by keyset: what follows the marker, so that a page costs the same wherever it begins.

devices.page(tx, devices.Filter(type="GPU"), Page(limit=100, marker=last_uuid))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, UnaryExpression, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from cyborg.domain import errors

Column = InstrumentedAttribute[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """``marker`` is the uuid of the last row of the page before; an unknown one gives an empty page."""

    limit: int | None = None
    marker: str | None = None
    sort: str = "id"
    descending: bool = False


ALL = Page()


def cut(statement: Select[*tuple[Any, ...]], page: Page, sorts: Mapping[str, Column]) -> Select[*tuple[Any, ...]]:
    """``statement`` in order and limited; ``sorts`` names the columns, never null, that may order it."""
    if page.sort not in sorts:
        raise errors.InvalidRequest(f"Cannot sort by {page.sort!r}; use one of {', '.join(sorted(sorts))}.")
    by, row_id = sorts[page.sort], sorts["id"]
    if page.marker is not None:
        statement = statement.where(_after(by, row_id, page))
    return statement.order_by(*order(page, by.expression, row_id.expression)).limit(page.limit)


def order(page: Page, by: ColumnElement[Any], row_id: ColumnElement[Any]) -> list[UnaryExpression[Any]]:
    """How the page is sorted; rows that are equal by its column are sorted by id."""
    columns = [by] if page.sort == "id" else [by, row_id]
    return [column.desc() if page.descending else column.asc() for column in columns]


def _after(by: Column, row_id: Column, page: Page) -> Any:
    uuid = row_id.class_.uuid
    marked_by = select(by).where(uuid == page.marker).scalar_subquery()
    marked_id = select(row_id).where(uuid == page.marker).scalar_subquery()
    if page.descending:
        return or_(by < marked_by, and_(by == marked_by, row_id < marked_id))
    return or_(by > marked_by, and_(by == marked_by, row_id > marked_id))
