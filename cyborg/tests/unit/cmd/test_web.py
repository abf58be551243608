# SPDX-License-Identifier: Apache-2.0
"""The port and the server on it."""

import http.client
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cyborg.cmd import web
from cyborg.domain import errors


class Application:
    """Answers with its name, and not before ``go_on``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.entered.set()
        self.go_on.wait(10)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [self.name.encode()]


def get(port: int, host: str = "127.0.0.1") -> str:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with web.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(errors.Unavailable) as caught:
            web.listen("127.0.0.1", port)
    assert f"127.0.0.1 port {port}: Address already in use" in caught.value.message
    assert "choose another" in caught.value.message


def test_an_address_that_is_not_of_this_host_is_named() -> None:
    with pytest.raises(errors.Unavailable, match=r"192\.0\.2\.1"):
        web.listen("192.0.2.1", 0)


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this host has no IPv6")
def test_the_any_address_of_ipv6_serves_ipv4_too() -> None:
    listener = web.listen("::", 0)
    server = web.WebServer(Application("both"), listener)
    server.start()
    assert [get(server.port), get(server.port, "::1")] == ["both", "both"]
    server.stop()


def test_two_servers_on_one_port_both_answer_and_the_one_that_is_left_answers_alone() -> None:
    listener = web.listen("127.0.0.1", 0)
    # What a process that is forked has: the same port by a file descriptor of its own.
    first, second = (web.WebServer(Application(name), listener.dup()) for name in ("first", "second"))
    first.start()
    second.start()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(get, [first.port] * 40)) <= {"first", "second"}
    first.stop()
    assert {get(second.port) for _ in range(10)} == {"second"}
    second.stop()
    listener.close()


def test_a_stop_waits_for_the_answer_in_hand() -> None:
    application = Application("done")
    application.go_on.clear()
    server = web.WebServer(application, web.listen("127.0.0.1", 0))
    server.start()
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(get, server.port)
        assert application.entered.wait(10)
        stopped = pool.submit(server.stop)
        assert not stopped.done()
        application.go_on.set()
        assert answer.result(10) == "done"
        stopped.result(10)


def test_files_that_are_no_certificate_are_named() -> None:
    with pytest.raises(errors.InvalidRequest, match="/nonexistent"):
        web.tls("/nonexistent", "/dev/null")
