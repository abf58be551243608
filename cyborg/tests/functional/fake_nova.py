# SPDX-License-Identifier: Apache-2.0
"""As much of Nova as is told of binds: version discovery and ``os-server-external-events``.

with FakeNova() as nova:
    nova.code = 422             # what each event is answered with; the call then is a 207
    nova.status = "503 Busy"    # what the whole call is answered with
    nova.down()                 # nobody listens there any more, until nova.up()
    ...
    nova.requests[-1].body["events"]
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from cheroot import wsgi

from cyborg.tests.functional import processes

VERSION = {
    "id": "v2.1",
    "status": "CURRENT",
    "version": "2.103",
    "min_version": "2.1",
    "links": [{"rel": "self", "href": ""}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    path: str
    microversion: str
    token: str
    body: Any


class FakeNova:
    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.code = 200
        self.status: str | None = None
        self._port = processes.free_port()

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.down()

    def up(self) -> None:
        self._server = wsgi.Server(("127.0.0.1", self._port), self._serve, numthreads=2)
        self._server.expiration_interval = 0.05
        self._server.prepare()
        self._thread = threading.Thread(target=self._server.serve, name="nova", daemon=True)
        self._thread.start()

    def down(self) -> None:
        self._server.stop()
        self._thread.join()

    @property
    def url(self) -> str:
        """The endpoint for the catalog."""
        return f"http://127.0.0.1:{self._port}/v2.1"

    def events(self, instance: str) -> list[dict[str, str]]:
        """Those of a server, in the order in which they came."""
        return [
            event for request in self.requests for event in request.body["events"] if event["server_uuid"] == instance
        ]

    def told(self, instance: str) -> list[set[str]]:
        """The tags of each call that was about the server, in the order in which they came."""
        groups = [request.body["events"] for request in self.requests]
        return [{event["tag"] for event in events} for events in groups if events[0]["server_uuid"] == instance]

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, body = self._answer(environ)
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    def _answer(self, environ: Mapping[str, Any]) -> tuple[str, Any]:
        if environ["REQUEST_METHOD"] == "GET":
            return "200 OK", {"version": VERSION | {"links": [{"rel": "self", "href": f"{self.url}/"}]}}
        body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        self.requests.append(
            Request(
                path=environ["PATH_INFO"],
                microversion=environ.get("HTTP_OPENSTACK_API_VERSION", ""),
                token=environ.get("HTTP_X_AUTH_TOKEN", ""),
                body=body,
            )
        )
        if self.status is not None:
            return self.status, {}
        events = [event | {"code": self.code} for event in body["events"]]
        return ("200 OK" if self.code == 200 else "207 Multi-Status"), {"events": events}
