# SPDX-License-Identifier: Apache-2.0
"""The module for WSGI servers under real ones: their command line is not ours, and a stop loses no request."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from cyborg.store.engine import Store
from cyborg.tests.functional import wsgi_servers
from cyborg.tests.functional.client import Client
from cyborg.tests.functional.processes import Process

DEVICES = 3
#: For a request to get to where it waits.
A_WHILE = 1.0
STOPS_WITHIN = 10.0
PROFILE = [{"name": "late", "groups": [{"resources:CUSTOM_ACCELERATOR": "1"}]}]
#: What cyborg's own commands would take for theirs, or refuse, on the command line of each server.
ODD = {
    "gunicorn": ["--name=--config-file=/nonexistent"],
    "uwsgi": ["--pyargv=--config-file /nonexistent --workers=4"],
    "mod_wsgi-express": ["--locale=C.UTF-8", "--process-name=--config-file=/nonexistent"],
}
FOREIGN = (wsgi_servers.GUNICORN, wsgi_servers.UWSGI_SERVER, wsgi_servers.MOD_WSGI)


#: Apache drops what it has in hand when it gets SIGTERM.
GRACEFUL = {"mod_wsgi-express": signal.SIGWINCH}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    name: str
    url: str
    process: Process
    store: Store


@pytest.fixture(params=FOREIGN, ids=lambda server: server.name)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    server: wsgi_servers.Server = request.param
    if reason := server.missing():
        pytest.skip(reason)
    configuration = wsgi_servers.configure(tmp_path, devices=DEVICES)
    store = Store(f"sqlite:///{tmp_path / 'cyborg.db'}")
    try:
        with server.run(tmp_path, configuration, extra=ODD[server.name]) as (url, process):
            yield Served(name=server.name, url=url, process=process, store=store)
    finally:
        store.dispose()


def test_the_api_is_served_whatever_the_servers_command_line_says(served: Served) -> None:
    with Client(served.url) as client:
        versions = client.call("GET", "/").expect(200, 300).json["versions"]
        assert versions[0]["links"][0]["href"].startswith(served.url)
        assert len(client.list("devices")) == DEVICES
        assert client.call("GET", "/v2/devices", headers={"X-Auth-Token": ""}).status == 401
        assert client.call("GET", "/v2/devices/%C3%A9").status == 404


def test_a_graceful_stop_ends_the_server_when_the_request_in_hand_is_answered(served: Served) -> None:
    with Client(served.url) as client, ThreadPoolExecutor() as pool:
        with served.store.transaction():  # what writes must wait
            answer = pool.submit(client.call, "POST", "/v2/device_profiles", PROFILE)
            time.sleep(A_WHILE)
            assert not answer.done()
            os.kill(served.process.pid, GRACEFUL.get(served.name, signal.SIGTERM))
            time.sleep(A_WHILE)
            assert served.process.runs
        assert answer.result().status == 201
    assert served.process.wait_end(STOPS_WITHIN) == 0, served.process.output
