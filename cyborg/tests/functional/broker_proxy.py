# SPDX-License-Identifier: Apache-2.0
"""Between a service and its broker, to take the broker away: at once, or without a word.

with Proxy("rabbit://guest:guest@127.0.0.1:5672/") as proxy:
    conf.set_override("transport_url", proxy.url)
    ...
    proxy.cut()         # connections are closed and refused
    proxy.hold()        # connections stay, and nothing comes through
"""

import contextlib
import socket
import threading
from typing import Self
from urllib.parse import urlsplit

CHUNK = 1 << 16


class Proxy:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5672)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = [self._listener]
        self._flows = threading.Event()
        self._flows.set()
        port = self._listener.getsockname()[1]
        self.url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.cut()
        self._flows.set()

    def cut(self) -> None:
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def hold(self) -> None:
        self._flows.clear()

    def _accept(self) -> None:
        # Ends with the listener.
        with contextlib.suppress(OSError):
            while True:
                inner, _ = self._listener.accept()
                outer = socket.create_connection(self._target)
                self._open += [inner, outer]
                for ends in ((inner, outer), (outer, inner)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._flows.wait()
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
