# SPDX-License-Identifier: Apache-2.0
"""The real Placement, in this process and behind a real loopback port.

    with PlacementFixture() as placement:
        placement.configure(conf)                      # [placement] of a configuration points here
        provider = placement.create_provider("compute-1", traits=["COMPUTE_ACCELERATORS"])
        ...
        placement.claim(provider, {"CUSTOM_ACCELERATOR": 1})

Several may be open at once. ``log`` holds every request that came in over the port; ``before`` is called with
each before Placement sees it, which is where a test lets somebody else interfere; ``down`` and ``up`` make and end
an outage.
"""

import contextlib
import functools
import socket
import sqlite3
import tempfile
import threading
import uuid as uuids
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib import parse

import webob
from cheroot import wsgi
from keystoneauth1 import loading
from oslo_config import cfg

from cyborg.cmd import embedded_placement

MICROVERSION = "1.39"
IN_MEMORY = "sqlite://"
OWNER = {"project_id": "a-project", "user_id": "a-user", "consumer_type": "INSTANCE"}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str

    @property
    def is_read(self) -> bool:
        return self.method == "GET"


class Outsider:
    """What somebody else does to Placement: it goes straight to the application."""

    def __init__(self, application: embedded_placement.Application) -> None:
        self._application = application

    def request(self, method: str, path: str, body: Any = None, *, expect: int | None = None) -> Any:
        """The answer's JSON, None without a body; AssertionError on an error, or on another status than ``expect``."""
        request = webob.Request.blank(path, method=method)
        request.headers["X-Auth-Token"] = embedded_placement.TOKEN
        request.headers["OpenStack-API-Version"] = f"placement {MICROVERSION}"
        request.headers["Accept"] = "application/json"
        if body is not None:
            request.content_type = "application/json"
            request.json = body
        answer = request.get_response(self._application)
        good = answer.status_code == expect if expect else answer.status_code < 300
        assert good, f"{method} {path}: {answer.status} {answer.text}"
        return answer.json if answer.body else None

    def create_provider(
        self,
        name: str,
        *,
        traits: Iterable[str] = (),
        inventories: Mapping[str, Mapping[str, Any]] | None = None,
        uuid: str | None = None,
    ) -> str:
        """A root provider; ``inventories`` as ``{"VCPU": {"total": 8}}``. Returns its uuid."""
        uuid = uuid or str(uuids.uuid4())
        self.request("POST", "/resource_providers", {"name": name, "uuid": uuid})
        if inventories:
            self.put_inventories(uuid, inventories)
        if traits:
            self.put_traits(uuid, traits)
        return uuid

    def delete_provider(self, uuid: str) -> None:
        self.request("DELETE", f"/resource_providers/{uuid}")

    def generation(self, uuid: str) -> int:
        return int(self.request("GET", f"/resource_providers/{uuid}")["generation"])

    def inventories(self, uuid: str) -> dict[str, dict[str, Any]]:
        return dict(self.request("GET", f"/resource_providers/{uuid}/inventories")["inventories"])

    def put_inventories(self, uuid: str, inventories: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace all classes, as Nova does; custom ones are made."""
        for name in inventories:
            if name.startswith("CUSTOM_"):
                self.request("PUT", f"/resource_classes/{name}")
        body = {"resource_provider_generation": self.generation(uuid), "inventories": inventories}
        self.request("PUT", f"/resource_providers/{uuid}/inventories", body)

    def traits(self, uuid: str) -> set[str]:
        return set(self.request("GET", f"/resource_providers/{uuid}/traits")["traits"])

    def put_traits(self, uuid: str, traits: Iterable[str]) -> None:
        """Replace all traits; custom ones are made."""
        names = self._made(traits)
        body = {"resource_provider_generation": self.generation(uuid), "traits": names}
        self.request("PUT", f"/resource_providers/{uuid}/traits", body)

    def _made(self, traits: Iterable[str]) -> list[str]:
        names = sorted(traits)
        for name in names:
            if name.startswith("CUSTOM_"):
                self.request("PUT", f"/traits/{name}")
        return names

    def usages(self, uuid: str) -> dict[str, int]:
        return dict(self.request("GET", f"/resource_providers/{uuid}/usages")["usages"])

    def claim(
        self, provider: str, resources: Mapping[str, int], *, consumer: str | None = None, expect: int = 204
    ) -> str:
        """Allocate for a new consumer, whose uuid it returns; 409 when it does not fit."""
        consumer = consumer or str(uuids.uuid4())
        body = {"allocations": {provider: {"resources": resources}}, "consumer_generation": None, **OWNER}
        self.request("PUT", f"/allocations/{consumer}", body, expect=expect)
        return consumer

    def release(self, consumer: str) -> None:
        self.request("DELETE", f"/allocations/{consumer}")

    def candidates(self, resources: Mapping[str, int], required: Iterable[str] = ()) -> set[str]:
        """The providers that Placement offers for it."""
        query = {"resources": ",".join(f"{name}:{amount}" for name, amount in resources.items())}
        if traits := ",".join(self._made(required)):
            query["required"] = traits
        found = self.request("GET", f"/allocation_candidates?{parse.urlencode(query)}")
        return {uuid for each in found["allocation_requests"] for uuid in each["allocations"]}


@functools.cache
def _new() -> tuple[embedded_placement.Embedded, bytes]:
    """The application, which all may share, and its database as it is before the first request."""
    with tempfile.TemporaryDirectory(prefix="placement-") as directory:
        made = embedded_placement.Embedded.load(Path(directory), IN_MEMORY, durable=False)
    return made, _connection(made).serialize()


def _connection(placement: embedded_placement.Embedded) -> sqlite3.Connection:
    """The only one to its database; a database in memory has no other."""
    raw = placement.database.writer.get_engine().raw_connection()
    with contextlib.closing(raw):
        connection: sqlite3.Connection = raw.driver_connection
        return connection


class PlacementFixture(Outsider):
    """Its database is in memory. Requests of an outsider are not in the log."""

    def __init__(self) -> None:
        self.log: list[Request] = []
        self.before: Callable[[Request], None] = lambda _request: None
        self.answer_with: str | None = None
        application, content = _new()
        own = application.on(IN_MEMORY)
        self._database = _connection(own)
        self.restore(content)
        super().__init__(own)
        self._port = _free_port()
        self.up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.down()
        self._database.close()

    def save(self) -> bytes:
        """All that is stored, for `restore`; call either while no request is served."""
        return self._database.serialize()

    def restore(self, saved: bytes) -> None:
        self._database.deserialize(saved)

    def open_units(self, resource_class: str) -> int:
        """Those of all providers that are not reserved; read from the tables, as tests ask before each request."""
        rows = self._database.execute(
            "SELECT SUM(total - reserved) FROM inventories JOIN resource_classes ON"
            " resource_classes.id = inventories.resource_class_id WHERE name = ?",
            (resource_class,),
        )
        return rows.fetchone()[0] or 0

    # The server. ``answer_with`` makes it answer everything with that status line, such as "503 Busy".

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def configure(self, conf: cfg.ConfigOpts) -> None:
        """Point ``[placement]`` of ``conf`` here."""
        conf.register_opts(loading.get_auth_plugin_conf_options("admin_token"), group="placement")
        conf.set_override("auth_type", "admin_token", group="placement")
        conf.set_override("endpoint", self.url, group="placement")
        conf.set_override("token", embedded_placement.TOKEN, group="placement")

    def up(self) -> None:
        self._server = wsgi.Server(("127.0.0.1", self._port), self._serve, numthreads=2)
        self._server.expiration_interval = 0.02
        ready = threading.Event()
        # The server's own threads are made by a daemon, and so are daemons: a test that fails cannot hang the run.
        self._thread = threading.Thread(target=_run, args=(self._server, ready), name="placement", daemon=True)
        self._thread.start()
        assert ready.wait(10), "the loopback server did not start"

    def down(self) -> None:
        self._server.stop()
        self._thread.join()

    def hold(self) -> threading.Event:
        """Keep the next requests waiting until the event is set."""
        go_on = threading.Event()

        def wait(_request: Request) -> None:
            go_on.wait(10)

        self.before = wait
        return go_on

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING")
        request = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"] + (f"?{query}" if query else ""))
        self.log.append(request)
        self.before(request)
        if self.answer_with is not None:
            start_response(self.answer_with, [("Content-Type", "text/plain")])
            return [self.answer_with.encode()]
        return self._application(environ, start_response)


def _free_port() -> int:
    """Known before the server starts: only a server with a fixed port may be started a second time at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(server: wsgi.Server, ready: threading.Event) -> None:
    server.prepare()
    ready.set()
    server.serve()
