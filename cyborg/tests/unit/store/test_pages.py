# SPDX-License-Identifier: Apache-2.0
"""A page is read along an index from where it begins: what the servers say of their plans for each list."""

import datetime
import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text

from cyborg.domain import arq, inventory, profile, report
from cyborg.store import (
    accelerators,
    arqs,
    attributes,
    columns,
    deployables,
    device_profiles,
    devices,
    host_list,
    models,
    operation_list,
    paging,
    schema,
)
from cyborg.store.engine import Store, Transaction
from cyborg.tests import databases

#: As many rows of everything; the devices are on the first hosts.
HOSTS, DEVICES = 20, int(os.environ.get("CYBORG_TEST_ROWS", "20000"))
SERVERS = [pytest.param(kind, marks=pytest.mark.servers) for kind in databases.VARIABLES]
List = Callable[[Transaction, paging.Page], Any]

#: What is listed: its table, its orders, and each filter alone. Deployables have names too long for an index with the
#: id, so only the pairs of the oldest versions sort by them.
LISTS: dict[str, tuple[str, tuple[str, ...], List]] = {
    "devices": ("devices", tuple(devices.SORTS), lambda tx, part: devices.page(tx, devices.ANY, part)),
    "devices of a type": ("devices", ("id",), lambda tx, part: devices.page(tx, devices.Filter(type="GPU"), part)),
    "devices of a vendor": ("devices", ("id",), lambda tx, part: devices.page(tx, devices.Filter(vendor="v1"), part)),
    "devices of a model": ("devices", ("id",), lambda tx, part: devices.page(tx, devices.Filter(model="m1"), part)),
    "devices of a status": (
        "devices",
        ("id",),
        lambda tx, part: devices.page(tx, devices.Filter(status="enabled"), part),
    ),
    "devices of a host": ("devices", ("id",), lambda tx, part: devices.page(tx, devices.Filter(hostname="h1"), part)),
    "deployables": ("deployables", ("id", "uuid", "created_at"), lambda tx, part: deployables.page(tx, part=part)),
    "deployables of a name": (
        "deployables",
        ("id",),
        lambda tx, part: deployables.page(tx, deployables.Filter(name="part-7"), part),
    ),
    "accelerators": ("accelerators", tuple(accelerators.SORTS), lambda tx, part: accelerators.page(tx, part=part)),
    "accelerators of a state": (
        "accelerators",
        ("id",),
        lambda tx, part: accelerators.page(tx, accelerators.Filter(states=["free"]), part),
    ),
    "accelerators of a host": (
        "accelerators",
        ("id",),
        lambda tx, part: accelerators.page(tx, accelerators.Filter(hostname="h1"), part),
    ),
    "accelerators of a device": (
        "accelerators",
        ("id",),
        lambda tx, part: accelerators.page(tx, accelerators.Filter(device_uuid=_uuid(7)), part),
    ),
    "deployables of a host": (
        "deployables",
        ("id",),
        lambda tx, part: deployables.page(tx, deployables.Filter(hostname="h1"), part),
    ),
    "deployables of a device": (
        "deployables",
        ("id",),
        lambda tx, part: deployables.page(tx, deployables.Filter(device_uuid=_uuid(7)), part),
    ),
    "attributes": ("attributes", tuple(attributes.SORTS), lambda tx, part: attributes.page(tx, part=part)),
    "attributes of a key": (
        "attributes",
        ("id",),
        lambda tx, part: attributes.page(tx, attributes.Filter(key="rc"), part),
    ),
    "attributes of a deployable": (
        "attributes",
        ("id",),
        lambda tx, part: attributes.page(tx, attributes.Filter(deployable_id=7), part),
    ),
    "profiles": ("device_profiles", tuple(device_profiles.SORTS), lambda tx, part: device_profiles.page(tx, part=part)),
    "profiles of names": (
        "device_profiles",
        ("id",),
        lambda tx, part: device_profiles.page(tx, device_profiles.Filter(names=["p1", "p2"]), part),
    ),
    "requests": ("arqs", tuple(arqs.SORTS), lambda tx, part: arqs.page(tx, part=part)),
    "requests of a project": (
        "arqs",
        ("id",),
        lambda tx, part: arqs.page(tx, arqs.Filter(project_id="project-1"), part),
    ),
    "requests of an instance": (
        "arqs",
        ("id",),
        lambda tx, part: arqs.page(tx, arqs.Filter(instance_uuid=_uuid(7)), part),
    ),
    "requests of a state": (
        "arqs",
        ("id",),
        lambda tx, part: arqs.page(tx, arqs.Filter(states=[arq.State.BOUND]), part),
    ),
    "requests of a host": ("arqs", ("id",), lambda tx, part: arqs.page(tx, arqs.Filter(hostname="h1"), part)),
    "requests of a profile": ("arqs", ("id",), lambda tx, part: arqs.page(tx, arqs.Filter(profile_name="p1"), part)),
    "hosts": ("hosts", tuple(host_list.SORTS), lambda tx, part: host_list.page(tx, part=part)),
    "hosts of a status": (
        "hosts",
        ("id",),
        lambda tx, part: host_list.page(tx, host_list.Filter(status="enabled"), part),
    ),
    "hosts of a name": ("hosts", ("id",), lambda tx, part: host_list.page(tx, host_list.Filter(name="h7"), part)),
    "operations": ("operations", tuple(operation_list.SORTS), lambda tx, part: operation_list.page(tx, part=part)),
    "operations of a kind": (
        "operations",
        ("id",),
        lambda tx, part: operation_list.page(tx, operation_list.Filter(kind="k1"), part),
    ),
    "operations of a state": (
        "operations",
        ("id",),
        lambda tx, part: operation_list.page(tx, operation_list.Filter(state=operation_list.State.DUE), part),
    ),
    "operations of a host": (
        "operations",
        ("id",),
        lambda tx, part: operation_list.page(tx, operation_list.Filter(hostname="h1"), part),
    ),
    "operations of a subject": (
        "operations",
        ("id",),
        lambda tx, part: operation_list.page(tx, operation_list.Filter(subject=_uuid(7)), part),
    ),
}
#: A page of hosts has their reports and the numbers of their accelerators, too.
STATEMENTS = {"hosts": 3}
#: These filters leave so few rows that it does not matter how they are sorted.
NARROW = (
    "of a host",
    "of a deployable",
    "of names",
    "of an instance",
    "of a name",
    "of a device",
    "of a subject",
)
CASES = [(name, order) for name, (_, orders, _) in LISTS.items() for order in orders]


def _uuid(number: int) -> str:
    return str(uuid.UUID(int=number))


@pytest.fixture(scope="module", params=SERVERS)
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Enough rows that a server would not rather read them all, and what it knows of them up to date."""
    directory: Path = tmp_path_factory.mktemp("pages")
    with databases.fresh(request.param, directory) as url:
        store = Store(url)
        schema.upgrade(store)
        with store.transaction() as tx:
            _fill(tx)
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in models.Base.metadata.tables:
                connection.execute(text(f"ANALYZE {'TABLE ' if request.param == 'mysql' else ''}{table}"))
        yield store
        store.dispose()


def _fill(tx: Connection) -> None:
    now = columns.now()
    group = {"resources": {"CUSTOM_ACCELERATOR": 1}, "traits": {}, "accel": {}}
    rows: dict[type[models.Base], list[dict[str, Any]]] = {
        models.Host: [
            {
                "id": one + 1,
                "uuid": _uuid(one),
                "name": f"h{one}",
                "status": inventory.HostStatus.ENABLED if one % 50 else inventory.HostStatus.DISABLED,
            }
            for one in range(DEVICES)
        ],
        models.Device: [
            {
                "id": one + 1,
                "uuid": _uuid(one),
                "host_id": one % HOSTS + 1,
                "driver": "d",
                "identity": f"address:{one}",
                "address": str(one),
                "type": report.DeviceType.GPU if one % 10 else report.DeviceType.FPGA,
                "vendor": f"v{one % 3}",
                "model": f"m{one % 5}",
                "health": report.Health.OK,
                "health_reasons": [],
                "facts": {},
                "status": inventory.DeviceStatus.ENABLED if one % 50 else inventory.DeviceStatus.MAINTAINING,
                "absences": 0,
            }
            for one in range(DEVICES)
        ],
        models.Deployable: [
            {"id": one + 1, "uuid": _uuid(one), "device_id": one + 1, "key": "", "name": f"part-{one}"}
            for one in range(DEVICES)
        ],
        models.Attribute: [
            {
                "uuid": _uuid(one * 2 + index),
                "deployable_id": one + 1,
                "origin": models.Origin.REPORT,
                "key": key,
                "value": "x",
            }
            for one in range(DEVICES)
            for index, key in enumerate(("rc", "trait:CUSTOM_GPU"))
        ],
        models.Arq: [
            {
                "uuid": _uuid(one),
                "project_id": f"project-{one % 20}",
                "state": arq.State.BOUND if one % 3 else arq.State.INITIAL,
                "profile_name": f"p{one % 7}",
                "group_id": 0,
                "request_group": group,
                "hostname": f"h{one % HOSTS}",
                "instance_uuid": _uuid(one),
            }
            for one in range(DEVICES)
        ],
        models.Accelerator: [
            {
                "uuid": _uuid(one),
                "deployable_id": one + 1,
                "key": "pf",
                "type": report.HandleType.PCI,
                "info": {},
                "missing": False,
                "arq_uuid": _uuid(one) if one % 3 else None,
            }
            for one in range(DEVICES)
        ],
        models.DeviceProfile: [
            {
                "uuid": _uuid(one),
                "name": f"p{one}",
                "groups": [{"resources:FPGA": "1"}],
                "visibility": profile.Visibility.PUBLIC if one % 4 else profile.Visibility.PRIVATE,
            }
            for one in range(DEVICES)
        ],
        models.Operation: [
            {
                "uuid": _uuid(one),
                "kind": f"k{one % 3}",
                "payload": {},
                "hostname": f"h{one % HOSTS}",
                "subject": _uuid(one),
                "next_at": now if one % 10 else now + datetime.timedelta(days=1),
            }
            for one in range(DEVICES)
        ],
    }
    for table, values in rows.items():
        tx.execute(insert(table), values)


def _plan(store: Store, read: Callable[[Transaction], Any]) -> Any:
    """How the server goes about the statement of ``read`` that cuts the page, in its own words."""
    explain = "EXPLAIN FORMAT=JSON " if store.engine.name == "mysql" else "EXPLAIN (FORMAT JSON) "
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    with store.reading() as tx:
        event.listen(store.engine, "before_cursor_execute", note)
        try:
            read(tx)
        finally:
            event.remove(store.engine, "before_cursor_execute", note)
        statement, parameters = next(one for one in seen if "LIMIT" in one[0])
        found = tx.exec_driver_sql(explain + statement, parameters).scalar_one()
    return json.loads(found) if isinstance(found, str) else found


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, dict):
        yield plan
    for part in plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ():
        yield from _nodes(part)


def _cut(store: Store, plan: Any) -> Any:
    """The part of the plan that cuts the page."""
    if store.engine.name == "mysql":
        return next((node["materialized"] for node in _nodes(plan) if "materialized" in node), plan)
    return next(node for node in _nodes(plan) if node.get("Node Type") == "Limit")


def _reads_all(cut: Any, table: str) -> bool:
    return any(
        (node.get("table_name") == table and node.get("access_type") == "ALL")
        or (node.get("Relation Name") == table and node["Node Type"] == "Seq Scan")
        for node in _nodes(cut)
    )


def _sorts(cut: Any) -> bool:
    return any("filesort" in node or "Sort" in node.get("Node Type", "") for node in _nodes(cut))


@pytest.mark.parametrize("marker", [None, _uuid(DEVICES // 2 + 1)], ids=["first", "later"])
@pytest.mark.parametrize(("name", "order"), CASES)
def test_a_page_is_read_along_an_index(full: Store, name: str, order: str, marker: str | None) -> None:
    table, _, read = LISTS[name]
    plan = _plan(full, lambda tx: read(tx, paging.Page(limit=101, sort=order, marker=marker)))
    cut = _cut(full, plan)
    assert not _reads_all(cut, table), json.dumps(plan, indent=1)
    assert name.endswith(NARROW) or not _sorts(cut), json.dumps(plan, indent=1)


@pytest.mark.parametrize("name", LISTS)
def test_a_page_is_as_many_statements_wherever_it_begins(full: Store, name: str) -> None:
    _, _, read = LISTS[name]
    counts = set()
    for number in (1, DEVICES // 2 + 1, DEVICES - 199):
        with full.reading() as tx, databases.recorded(full) as statements:
            read(tx, paging.Page(limit=101, marker=_uuid(number)))
        counts.add(len(statements))
    most = STATEMENTS.get(name.split(maxsplit=1)[0], 1) + 1
    assert max(counts) == most, "one more for the marker"
