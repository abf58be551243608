# SPDX-License-Identifier: Apache-2.0
"""Hosts as lists show them: when they were heard of, what their drivers reported when, how many accelerators there are.

Three statements for a page: the hosts, their reports, their accelerators counted. What an audit found is noted here for
who lists hosts, and decides nothing.
"""

import datetime
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, or_, select, update

from cyborg.domain import audit, errors
from cyborg.store import accelerators, columns, paging
from cyborg.store.engine import Transaction
from cyborg.store.models import Host, Report
from cyborg.store.records import Drift, DriverReport, HostRecord

#: Differences that are kept of one host; all are counted.
KEPT = 20
SORTS = {"id": Host.id, "uuid": Host.uuid, "name": Host.name, "created_at": Host.created_at}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    name: str | None = None
    status: str | None = None


ANY = Filter()


def page(tx: Transaction, wanted: Filter = ANY, part: paging.Page = paging.ALL) -> list[HostRecord]:
    statement = select(Host)
    if wanted.name is not None:
        statement = statement.where(Host.name == wanted.name)
    if wanted.status is not None:
        statement = statement.where(Host.status == wanted.status)
    return _records(tx, tx.execute(paging.cut(tx, statement, part, SORTS)).all())


def get(tx: Transaction, uuid_or_name: str) -> HostRecord:
    """The host with that uuid, else the one with that name; NotFound."""
    either = select(Host).where(or_(Host.uuid == uuid_or_name, Host.name == uuid_or_name))
    found = _records(tx, tx.execute(either).all())
    if not found:
        raise errors.NotFound(f"There is no host {uuid_or_name!r}.")
    return min(found, key=lambda record: record.uuid != uuid_or_name)


def note_drift(tx: Transaction, moment: datetime.datetime, found: Mapping[str, Sequence[audit.Difference]]) -> None:
    """Keep what an audit found then, by name of the host; hosts that are gone are passed over.

    The rows are locked in the order of their names, as everybody does who needs several.
    """
    if not found:
        return
    noted = update(Host).where(Host.name == bindparam("host")).values(drift=bindparam("found"))
    tx.execute(noted, [{"host": name, "found": _noted(moment, found[name])} for name in sorted(found)])


def _noted(moment: datetime.datetime, found: Sequence[audit.Difference]) -> dict[str, Any]:
    kept = [{"kind": str(one.kind), "subject": one.subject, "text": one.text} for one in found[:KEPT]]
    return {"looked_at": moment.isoformat(), "number": len(found), "differences": kept}


def _drift(value: Any) -> Drift | None:
    noted = columns.as_object(value)
    if not {"looked_at", "number"} <= noted.keys():
        return None
    differences = [one for one in columns.as_list(noted.get("differences")) if isinstance(one, dict)]
    return Drift(looked_at=noted["looked_at"], number=noted["number"], differences=tuple(differences))


def _records(tx: Transaction, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[HostRecord]:
    ids = [row.id for row in rows]
    if not ids:
        return []
    reports: defaultdict[int, list[DriverReport]] = defaultdict(list)
    for row in tx.execute(select(Report).where(Report.host_id.in_(ids)).order_by(Report.host_id, Report.driver)):
        reports[row.host_id].append(DriverReport(driver=row.driver, reported_at=row.reported_at))
    counts = accelerators.count_by_state(tx, ids)
    return [
        HostRecord(
            id=row.id,
            uuid=row.uuid,
            name=row.name,
            status=row.status,
            provider_uuid=row.provider_uuid,
            layout=row.layout,
            naming=row.naming,
            seen_at=row.seen_at,
            down_since=row.down_since,
            reports=tuple(reports[row.id]),
            accelerators=counts[row.id],
            drift=_drift(row.drift),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in rows
    ]
