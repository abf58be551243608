# SPDX-License-Identifier: Apache-2.0
"""What no client library sends, byte by byte to the server of cyborg-api: refused in our form, and nothing stored."""

import json
import socket
from collections.abc import Iterator

import pytest

from cyborg.cmd import web
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import Api

ADMIN = b"Host: cloud\r\nX-Auth-Token: admin\r\nConnection: close\r\n"
JSON = ADMIN + b"Content-Type: application/json\r\n"
NEWEST = ADMIN + b"OpenStack-API-Version: accelerator latest\r\n"
PROFILE = b'[{"name": "raw", "groups": [{"resources:FPGA": "1"}]}]'
POST = b"POST /v2/device_profiles HTTP/1.1\r\n"
#: What is sent, and the status that answers it.
REFUSED = {
    "a length below nothing": (POST + JSON + b"Content-Length: -5\r\n\r\n" + PROFILE, 400),
    "a length without end": (POST + JSON + b"Content-Length: 99999999999999999999\r\n\r\n" + PROFILE, 413),
    "a body that ends too soon, and is JSON so far": (POST + JSON + b"Content-Length: 99\r\n\r\n" + PROFILE, 400),
    "a piece of no size": (POST + JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + PROFILE + b"\r\n0\r\n\r\n", 400),
    "a piece that ends too soon": (POST + JSON + b"Transfer-Encoding: chunked\r\n\r\nff\r\n" + PROFILE, 400),
    "a host that is none": (b"GET /v2 HTTP/1.1\r\nHost: a b<i>\r\nConnection: close\r\n\r\n", 400),
    "a version in another script": (
        b"GET /v2/devices HTTP/1.1\r\n" + ADMIN + b"OpenStack-API-Version: \xff\r\n\r\n",
        406,
    ),
    "a method of nobody": (b"FOO /v2/devices HTTP/1.1\r\n" + ADMIN + b"\r\n", 405),
    "a trace": (b"TRACE /v2/devices HTTP/1.1\r\n" + ADMIN + b"\r\n", 405),
    "two generations": (
        b"POST /v2/devices/7e62f5a8-9d71-4d0c-ad8b-5f2b1e0a3c11/disable HTTP/1.1\r\n"
        + NEWEST
        + b'If-Match: "0", "1"\r\nContent-Length: 0\r\n\r\n',
        400,
    ),
    "a token in another script": (
        b"GET /v2/devices HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Auth-Token: \xff\r\n\r\n",
        403,
    ),
    "no JSON, please": (b"GET /v2/devices HTTP/1.1\r\n" + ADMIN + b"Accept: application/json;q=0\r\n\r\n", 406),
}


@pytest.fixture(scope="module")
def port(service: Api) -> Iterator[int]:
    server = web.WebServer(service.application, web.listen("127.0.0.1", 0), threads=2)
    server.start()
    yield server.port
    server.stop()


def send(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of the answer; whoever has sent that much says no more."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_understood_is_refused_in_the_form_of_every_error(api: Api, port: int, what: str) -> None:
    request, expected = REFUSED[what]
    api.report(builders.gpu_host("host-1"))
    before = api.rows()
    status, headers, body = send(port, request)
    assert status == expected, body
    assert headers["content-type"] == "application/json"
    assert list(json.loads(body)) == ["error_message"]
    assert api.rows() == before


@pytest.mark.usefixtures("api")
def test_a_body_in_pieces_is_taken(port: int) -> None:
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (PROFILE[:20], PROFILE[20:]))
    status, _, body = send(port, POST + JSON + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n")
    assert (status, json.loads(body)["name"]) == (201, "raw")


def test_who_names_no_host_is_answered_and_the_server_does_not_tell_what_it_is_made_of(port: int) -> None:
    status, headers, body = send(port, b"GET / HTTP/1.0\r\n\r\n")
    assert (status, headers["server"]) == (200, web.NAME)
    assert json.loads(body)["versions"][0]["links"][0]["href"] == f"http://{web.NAME}:{port}/v2"
