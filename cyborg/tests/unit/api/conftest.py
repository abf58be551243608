# SPDX-License-Identifier: Apache-2.0
"""The whole API over a real store and a real conductor; only Keystone and Nova are away."""

import datetime
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import webob
from oslo_config import cfg
from sqlalchemy import Select, Table, func, insert, literal, select, union_all

from cyborg import conf as configuration
from cyborg.api import app
from cyborg.clients import nova
from cyborg.conductor.service import Conductor
from cyborg.domain import audit, report
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.store import host_list, models, operations, schema
from cyborg.store.engine import Store
from cyborg.tests.unit.api.documented import Documented

PROVIDER = "b1a2e1c8-4c5b-4d3f-9a3e-2f0f4d0f3a11"
#: What there is in the oldest version, and in the newest.
OLDEST_COLLECTIONS = ("accelerator_requests", "attributes", "deployables", "device_profiles", "devices")
COLLECTIONS = (*OLDEST_COLLECTIONS, "accelerators", "hosts", "operations")

#: By table.
Rows = Mapping[str, list[dict[str, Any]]]


def configured(**api: Any) -> cfg.ConfigOpts:
    conf = configuration.new_config()
    conf([], default_config_files=[])
    conf.set_override("transport_url", "fake://")
    conf.set_override("auth_strategy", "noauth", "api")
    for name, value in api.items():
        conf.set_override(name, value, "api")
    return conf


class Api:
    """Calls as a client makes them; tokens are those of noauth, ``user[:project[:roles]]``."""

    def __init__(self, conf: cfg.ConfigOpts, store: Store, conductor: ConductorClient) -> None:
        self.conf = conf
        self.store = store
        self.conductor = conductor
        self.application: app.Application = Documented(app.load(conf, store, conductor))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: str | None = "admin",
        service: bool = False,
        version: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> webob.Response:
        request = webob.Request.blank(path, method=method, base_url="http://cloud:6666")
        if who:
            request.headers["X-Auth-Token"] = who
        if service:
            request.headers["X-Service-Token"] = "nova"
        if version:
            request.headers["OpenStack-API-Version"] = version
        if body is not None:
            request.body = body if isinstance(body, bytes) else json.dumps(body).encode()
            request.content_type = "application/json"
        request.headers.update(headers or {})
        return request.get_response(self.application)

    def report(self, seen: report.DeviceReport, provider: str = PROVIDER) -> None:
        """As its agent would."""
        self.conductor.sync(seen.host, provider, {}, -1)
        self.conductor.report(seen)

    def profile(self, name: str = "gpu", trait: str = "CUSTOM_GPU", count: int = 1) -> str:
        group = {"resources:CUSTOM_ACCELERATOR": str(count), f"trait:{trait}": "required"}
        answer = self.call("POST", "/v2/device_profiles", [{"name": name, "groups": [group]}])
        assert answer.status_int == 201, answer.text
        return str(answer.json["uuid"])

    def request(self, name: str = "gpu", who: str = "bob") -> list[str]:
        answer = self.call("POST", "/v2/accelerator_requests", {"device_profile_name": name}, who=who)
        assert answer.status_int == 201, answer.text
        return [one["uuid"] for one in answer.json["arqs"]]

    def bind(self, uuids: list[str], instance: str = "", host: str = "host-1", who: str = "bob") -> str:
        instance = instance or str(uuid.uuid4())
        answer = self.call("PATCH", "/v2/accelerator_requests", binding(uuids, instance, host), who=who, service=True)
        assert answer.status_int == 202, answer.text
        return instance

    def clear(self) -> None:
        """Leave nothing stored."""
        self.fill({})

    def fill(self, stored: Rows) -> None:
        """Leave this stored and nothing else: in one transaction, as the conductor's periodic work writes meanwhile."""
        with self.store.transaction() as tx:
            for table in reversed(models.Base.metadata.sorted_tables):
                tx.execute(table.delete())
            for table in models.Base.metadata.sorted_tables:
                if rows := stored.get(table.name):
                    tx.execute(table.insert(), rows)

    def stored(self) -> Rows:
        """All that is stored, for `fill`."""
        with self.store.reading() as tx:
            return {
                table.name: [dict(row) for row in tx.execute(table.select()).mappings()]
                for table in models.Base.metadata.sorted_tables
            }

    def operation(self, **changes: Any) -> str:
        """Work that somebody has a lease on, unless ``changes`` say otherwise; its uuid."""
        later = operations.now() + datetime.timedelta(hours=1)
        values: dict[str, Any] = {"uuid": str(uuid.uuid4()), "kind": "prepare", "payload": {}, "owner": "somebody"}
        values |= {"lease_until": later, "next_at": later, **changes}
        with self.store.transaction() as tx:
            tx.execute(insert(models.Operation).values(values))
        return str(values["uuid"])

    def audited(self, host: str, *found: audit.Difference) -> None:
        """As an audit notes it."""
        with self.store.transaction() as tx:
            host_list.note_drift(tx, operations.now(), {host: found})

    def rows(self) -> dict[str, int]:
        """How much is stored of everything, but for the turns that the conductor's periodic work takes meanwhile."""
        with self.store.reading() as tx:
            counts: dict[str, int] = {row[0]: row[1] for row in tx.execute(COUNTS).all()}
            return counts


def _counted(table: Table) -> Select[*tuple[Any, ...]]:
    counted = select(literal(table.name), func.count()).select_from(table)
    turns = models.Operation.__table__
    return counted.where(~turns.c.kind.startswith(operations.TURN)) if table is turns else counted


#: The name of each table and how many rows it has.
COUNTS = union_all(*map(_counted, models.Base.metadata.sorted_tables))


def binding(uuids: list[str], instance: str, host: str = "host-1", provider: str = PROVIDER) -> dict[str, Any]:
    values = {"hostname": host, "device_rp_uuid": provider, "instance_uuid": instance}
    patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in values.items()]
    return dict.fromkeys(uuids, patch)


def fault(answer: webob.Response) -> str:
    """The words of an error, from the form that clients parse."""
    return str(json.loads(answer.json["error_message"])["faultstring"])


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    conf = configured()
    conf.set_override("control_exchange", f"api-{uuid.uuid4()}")
    conf.set_override("bind_timeout", 10)
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('api')}/cyborg.db")
    schema.upgrade(store)
    transport = messaging.get_transport(conf)
    conductor = Conductor(conf, store, transport, nova.FakeNova())
    conductor.start()
    yield Api(conf, store, ConductorClient(conf, transport))
    conductor.stop()
    store.dispose()


@pytest.fixture
def api(service: Api) -> Api:
    """The service with nothing in it."""
    service.clear()
    return service


@pytest.fixture
def gabbits() -> Path:
    return Path(__file__).resolve().parents[2] / "gabbits"
