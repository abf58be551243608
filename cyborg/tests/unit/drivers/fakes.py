# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for what drivers talk to beside files: vendors' tools and the RPC of an SPDK target."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cyborg.drivers.tools import Tools


class FakeTools(Tools):
    """Output by command line; any other command fails. ``asked`` are the command lines so far."""

    def __init__(self, outputs: Mapping[str, str]) -> None:
        super().__init__(path="")
        self.outputs = dict(outputs)
        self.asked: list[str] = []

    def run(self, *command: str) -> str | None:
        self.asked.append(" ".join(command))
        return self.outputs.get(self.asked[-1])


class FakeSpdk:
    """Answers at a socket from a table of results by method; each connection in a thread of its own.

    A result that can be called gets the parameters and gives the result. ``{"error": ...}`` is an error,
    ``{"hang_up": True}`` closes the connection, ``{"silent": True}`` gives no answer. ``chunk`` is the size of the
    pieces, 0 for whole answers. ``asked`` are the methods so far.
    """

    def __init__(self, path: Path, table: Mapping[str, Any]) -> None:
        self._table = table
        self.asked: list[str] = []
        self.connections = 0
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen(4)
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._open.append(connection)
                self.connections += 1
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                request = json.loads(data)
                self.asked.append(request["method"])
                if not self._answer(connection, request):
                    connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, connection: socket.socket, request: Mapping[str, Any]) -> bool:
        result = self._table.get(request["method"], {"error": {"code": -32601, "message": "Method not found"}})
        result = result(request.get("params", {})) if callable(result) else result
        special = result if isinstance(result, dict) else {}
        if "hang_up" in special:
            return False
        if "silent" not in special:
            body = {"error": special["error"]} if "error" in special else {"result": result}
            data = json.dumps({"jsonrpc": "2.0", "id": request["id"], **body}, ensure_ascii=False).encode()
            step = self._table.get("chunk") or len(data)
            for start in range(0, len(data), step):
                connection.sendall(data[start : start + step])
                time.sleep(0.0001 if step < len(data) else 0)
        return True


@contextlib.contextmanager
def spdk_targets(
    directory: Path, tables: Mapping[str, Mapping[str, Any]], *, named: bool = False
) -> Iterator[Mapping[str, str]]:
    """A target for each configured socket; yields where each really is, if ``named`` under its name."""
    places = {name: directory / (Path(name).name if named else f"{number}") for number, name in enumerate(tables)}
    targets = [FakeSpdk(places[name], table) for name, table in tables.items()]
    try:
        yield {name: str(place) for name, place in places.items()}
    finally:
        for target in targets:
            target.stop()
