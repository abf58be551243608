# SPDX-License-Identifier: Apache-2.0
"""A WSGI application behind cheroot, as a service that starts and stops.

    server = WebServer(application, listen("127.0.0.1", 6666))
    server.start()

The port is opened first and by itself. So whoever starts several processes opens it before they part: a port that is
taken is found out once, and every process serves whatever comes in, with nothing lost when one of them ends.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter
from oslo_log import log

from cyborg.domain import errors

LOG = log.getLogger(__name__)
WsgiApplication = Callable[..., Iterable[bytes]]
BACKLOG = 128
#: Told in the header Server; also the host for clients that name none, as load balancers that speak HTTP/1.0.
NAME = "cyborg-api"
ANY_ADDRESS = "::"


def listen(host: str, port: int) -> socket.socket:
    """An open port, 0 takes a free one; raises Unavailable when that cannot be."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        both = host == ANY_ADDRESS and socket.has_dualstack_ipv6()
        opened = socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as exc:
        raise errors.Unavailable(
            f"Cannot listen on {host} port {port}: {exc.strerror or exc}. Stop what uses it, or choose another."
        ) from exc
    # Connections inherit it. Without, every answer's body waits 40 ms for the client to confirm its headers.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def tls(cert_file: str, key_file: str, ca_file: str | None = None) -> BuiltinSSLAdapter:
    """What makes a server speak HTTPS; raises InvalidRequest for files that are no certificate and key."""
    try:
        return BuiltinSSLAdapter(cert_file, key_file, ca_file)
    except (OSError, ValueError) as exc:
        files = ", ".join(name for name in (cert_file, key_file, ca_file) if name)
        raise errors.InvalidRequest(f"No HTTPS with the files {files}: {exc}.") from exc


class WebServer:
    """Serves ``application`` on an open port with native threads."""

    def __init__(
        self,
        application: WsgiApplication,
        listener: socket.socket,
        *,
        threads: int = 10,
        ssl_adapter: BuiltinSSLAdapter | None = None,
    ) -> None:
        self._server = _Server(application, listener, threads)
        self._server.ssl_adapter = ssl_adapter
        self._thread = threading.Thread(target=self._server.serve, name="web", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.bind_addr[1])

    def start(self) -> None:
        self._server.prepare()
        self._thread.start()

    def stop(self) -> None:
        """Returns when the requests in hand are answered."""
        self._server.stop()
        self._thread.join()


class _Server(wsgi.Server):
    """cheroot's, on a port that is open already."""

    def __init__(self, application: WsgiApplication, listener: socket.socket, threads: int) -> None:
        address = listener.getsockname()[:2]
        super().__init__(address, application, threads, server_name=NAME, request_queue_size=BACKLOG)
        self._listener = listener

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: FBT001, FBT002
        """cheroot's own complaints; those about clients are of no interest to operators."""
        LOG.log(level if level >= logging.ERROR else logging.DEBUG, "%s", msg, exc_info=traceback)

    def bind(self, *_unused: Any) -> socket.socket:
        """Use the open port."""
        self.socket = self._listener
        return self._listener

    def prepare(self) -> None:
        super().prepare()
        # Of several processes that see a connection only one gets it; the others must not wait for the next one.
        self._listener.settimeout(0)
