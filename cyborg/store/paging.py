# SPDX-License-Identifier: Apache-2.0
"""One page of a list by keyset: what follows the marker, so that a page costs the same wherever it begins.

    devices.page(tx, devices.Filter(type="GPU"), Page(limit=100, marker=last_uuid))

The page is cut from the one table whose rows are listed, along an index on (column, id); what is shown of other
tables is joined to the rows of the page. A statement that joins first may be read from the wrong end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, UnaryExpression, and_, literal, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from cyborg.domain import errors
from cyborg.store.engine import Transaction

Column = InstrumentedAttribute[Any]
Sorts = Mapping[str, Column]
Columns = ReadOnlyColumnCollection[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """``marker`` is the uuid of the last row of the page before."""

    limit: int | None = None
    marker: str | None = None
    sort: str = "id"
    descending: bool = False


ALL = Page()


def cut(
    tx: Transaction,
    statement: Select[*tuple[Any, ...]],
    page: Page,
    sorts: Sorts,
    scope: ColumnElement[bool] | None = None,
) -> Select[*tuple[Any, ...]]:
    """``statement``, which selects from one table, in order and limited.

    ``sorts`` names the columns, never null, that may order it. InvalidRequest for another one, and for a marker that
    no row within ``scope`` has.
    """
    if page.sort not in sorts:
        raise errors.InvalidRequest(f"Cannot sort by {page.sort!r}; use one of {', '.join(sorted(sorts))}.")
    if page.marker is not None:
        statement = statement.where(_after(tx, page, sorts, scope))
    return statement.order_by(*order(page, sorts, sorts["id"].class_.__table__.c)).limit(page.limit)


def order(page: Page, sorts: Sorts, columns: Columns) -> list[UnaryExpression[Any]]:
    """How the page is sorted, in ``columns``; rows that are equal by its column are sorted by id."""
    by = sorts[page.sort]
    names = [by.key] if _is_unique(by) else [by.key, "id"]
    return [columns[name].desc() if page.descending else columns[name].asc() for name in names]


def _after(tx: Transaction, page: Page, sorts: Sorts, scope: ColumnElement[bool] | None) -> ColumnElement[bool]:
    by, row_id = sorts[page.sort], sorts["id"]
    marked = select(by.label("by"), row_id.label("id")).where(row_id.class_.uuid == page.marker)
    found = tx.execute(marked if scope is None else marked.where(scope)).one_or_none()
    if found is None:
        raise errors.InvalidRequest(f"There is no marker {page.marker}; it may be gone by now: begin anew without one.")
    if _is_unique(by):
        beyond: ColumnElement[bool] = by < found.by if page.descending else by > found.by
        return beyond
    return _follows(by, row_id, literal(found.by, by.type), literal(found.id, row_id.type), descending=page.descending)


def _follows(
    by: Column, row_id: Column, value: ColumnElement[Any], last: ColumnElement[Any], *, descending: bool
) -> ColumnElement[bool]:
    """Said twice: PostgreSQL and SQLite find the place in the index by the row, MariaDB and MySQL by the ranges."""
    row, place = tuple_(by, row_id), tuple_(value, last)
    if descending:
        return and_(row < place, or_(by < value, and_(by == value, row_id < last)))
    return and_(row > place, or_(by > value, and_(by == value, row_id > last)))


def _is_unique(column: Column) -> bool:
    found = column.expression
    return bool(getattr(found, "unique", False) or getattr(found, "primary_key", False))
