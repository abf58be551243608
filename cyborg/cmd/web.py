# SPDX-License-Identifier: Apache-2.0
"""A WSGI application behind cheroot, as a service that starts and stops."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from cheroot import wsgi

WsgiApplication = Callable[..., Iterable[bytes]]


class WebServer:
    """Serves ``application`` with native threads; ``port`` 0 takes a free one, see `port` after `start`."""

    def __init__(
        self, application: WsgiApplication, host: str, port: int, *, threads: int = 10, shared_port: bool = False
    ) -> None:
        self._server: Any = wsgi.Server(
            (host, port), application, numthreads=threads, request_queue_size=128, reuse_port=shared_port
        )
        self._thread = threading.Thread(target=self._server.serve, name="web", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.bind_addr[1])

    def start(self) -> None:
        """Returns when the port is open; raises OSError when it is taken."""
        self._server.prepare()
        self._thread.start()

    def stop(self) -> None:
        """Returns when the requests in hand are answered."""
        self._server.stop()
        self._thread.join()
