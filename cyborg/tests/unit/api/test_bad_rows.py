# SPDX-License-Identifier: Apache-2.0
"""No row can break a list, whatever is in it: what a newer release writes, and what somebody wrote by hand."""

from collections.abc import Iterator

import pytest
import sqlalchemy
from sqlalchemy import Table

from cyborg.api import app
from cyborg.store import columns, models
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import COLLECTIONS, OLDEST_COLLECTIONS, Api

UNKNOWN = ("unknown", "")
SHAPES = ("null", "[]", "{}", '"text"', "[null]", '{"number": null}', "{bad")
LISTS = [("2.0", name) for name in OLDEST_COLLECTIONS] + [("latest", name) for name in COLLECTIONS]


def wrong(table: Table) -> Iterator[tuple[str, str]]:
    """(column, text) for every column whose text means something, and every text that means nothing there."""
    for column in table.columns:
        if isinstance(column.type, sqlalchemy.JSON):
            yield from ((column.name, text) for text in SHAPES)
        elif isinstance(column.type, columns.Choice):
            yield from ((column.name, text) for text in UNKNOWN)


@pytest.fixture
def full(api: Api) -> Api:
    """With a row of everything; answers need not be as documented when rows are not."""
    api.report(builders.mixed_host("host-1"))
    api.profile()
    api.bind(api.request())
    api.operation()
    api.audited("host-1")
    bare = Api(api.conf, api.store, api.conductor)
    bare.application = app.load(api.conf, api.store, api.conductor)
    return bare


@pytest.mark.parametrize("table", [table for table in models.Base.metadata.sorted_tables if any(wrong(table))], ids=str)
def test_what_means_nothing_in_a_row_breaks_no_list(full: Api, table: Table) -> None:
    (key,) = table.primary_key.columns
    first = f"{key.name} = (SELECT MIN({key.name}) FROM {table.name})"  # noqa: S608 - names of ours
    with full.store.reading() as tx:
        before = dict(tx.exec_driver_sql(f"SELECT * FROM {table.name} WHERE {first}").mappings().one())  # noqa: S608
    broken = []
    for column, text in wrong(table):
        for value in (text, before[column]):
            with full.store.transaction() as tx:
                tx.exec_driver_sql(f"UPDATE {table.name} SET {column} = ? WHERE {first}", (value,))  # noqa: S608
            if value is text:
                broken += [
                    (column, text, version, name, answer.text)
                    for version, name in LISTS
                    if (answer := full.call("GET", f"/v2/{name}", version=f"accelerator {version}")).status_int != 200
                ]
    assert not broken
