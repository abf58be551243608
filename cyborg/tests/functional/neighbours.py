# SPDX-License-Identifier: Apache-2.0
"""The services around ours, as far as its clients ask them: any server and any image exists.

It also passes calls on to the accelerator service with a service token, as other services do: ``/passed-on`` is where.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PASSED_ON = "/passed-on"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    accelerator: str
    service_token: str

    def do_GET(self) -> None:
        if self.path.startswith(PASSED_ON):
            self._pass_on()
            return
        name = self.path.rsplit("/", 1)[-1]
        if self.path.startswith("/compute/servers/"):
            self._answer({"server": {"id": name, "name": name, "links": []}})
        elif self.path.startswith("/image/v2/images/"):
            self._answer({"id": name, "name": name, "status": "active"})
        elif self.path.startswith("/compute"):
            links = [{"rel": "self", "href": self._here("/compute/")}]
            self._answer({"version": {"id": "v2.1", "status": "CURRENT", "version": "2.96", "links": links}})
        else:
            links = [{"rel": "self", "href": self._here("/image/v2/")}]
            self._answer({"versions": [{"id": "v2.9", "status": "CURRENT", "links": links}]})

    def do_PATCH(self) -> None:
        self._pass_on()

    def log_message(self, *_unused: Any) -> None:
        """Tests say themselves what was wrong."""

    def _here(self, path: str) -> str:
        return f"http://{self.headers['Host']}{path}"

    def _answer(self, body: Any) -> None:
        self._send(200, json.dumps(body).encode())

    def _pass_on(self) -> None:
        target = urlsplit(self.accelerator)
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.removeprefix(PASSED_ON)
        connection.request(self.command, path, body=body, headers=headers | {"X-Service-Token": self.service_token})
        answer = connection.getresponse()
        self._send(answer.status, answer.read())
        connection.close()

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve(accelerator: str, service_token: str) -> Iterator[str]:
    """The URL below which ``/compute``, ``/image`` and ``/passed-on`` are; ``accelerator`` is our own service's."""
    handler = type("Handler", (_Handler,), {"accelerator": accelerator, "service_token": service_token})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
