# SPDX-License-Identifier: Apache-2.0
"""As much of Glance and Neutron as Nova asks for servers without networks: any image is there, and there is no port.

with edge.serve() as url:
    identity.add_endpoint("image", f"{url}/image")
    identity.add_endpoint("network", f"{url}/network")
"""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

IMAGES = "/image/v2/images"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith(f"{IMAGES}/"):
            self._answer(200, _image(self._last))
        elif self.path.startswith("/image/v2/schemas"):
            self._answer(200, {"name": self._last, "properties": {name: {} for name in _image("")}})
        elif self.path.startswith("/image"):
            self._answer(200, {"versions": [self._version("v2.9", "/image/v2/")]})
        elif self.path.startswith("/network/v2.0/"):
            self._answer(200, {self._last.partition("?")[0].partition(".")[0]: []})
        else:
            self._answer(200, {"versions": [self._version("v2.0", "/network/v2.0/")]})

    def do_POST(self) -> None:
        """A snapshot of a server that is shelved."""
        self._answer(201, _image(str(uuid.uuid4())))

    def do_PUT(self) -> None:
        self._answer(204, None)

    def do_PATCH(self) -> None:
        self._answer(200, _image(self._last))

    def do_DELETE(self) -> None:
        self._answer(204, None)

    def log_message(self, *_unused: Any) -> None:
        """Nova says itself what was wrong."""

    @property
    def _last(self) -> str:
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    def _version(self, name: str, path: str) -> dict[str, Any]:
        link = {"rel": "self", "href": f"http://{self.headers['Host']}{path}"}
        return {"id": name, "status": "CURRENT", "links": [link]}

    def _answer(self, status: int, body: Any) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _image(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "status": "active",
        "visibility": "public",
        "container_format": "bare",
        "disk_format": "raw",
        "size": 1,
        "min_disk": 0,
        "min_ram": 0,
        "tags": [],
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }


@contextmanager
def serve() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
