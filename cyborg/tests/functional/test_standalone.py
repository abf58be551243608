# SPDX-License-Identifier: Apache-2.0
"""cyborg-standalone as its users meet it: a command that starts, says where it is, keeps its state and stops."""

import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyborg.cmd import standalone as command
from cyborg.domain import errors
from cyborg.tests.functional import standalone
from cyborg.tests.functional.client import Client
from cyborg.tests.functional.standalone import Process

#: The promise is five; a loaded machine that runs tests gets more.
SECONDS_TO_START = 15
SECONDS_TO_STOP = 10


@pytest.fixture
def hosts(tmp_path: Path) -> list[str]:
    """Arguments for two simulated hosts, of one and of two cards."""
    recordings = {f"gpu-{cards}": standalone.gpu_host(tmp_path / f"{cards}.yaml", cards=cards) for cards in (1, 2)}
    named = [f"--simulated-host={name}={path}" for name, path in recordings.items()]
    return [*named, f"--drivers={standalone.GPU_DRIVER}", "--interval=1"]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


def refusal(state: Path, *arguments: str, port: int = 0) -> str:
    """What it says when it does not start: one line, no trace, exit status 1."""
    with Process(state, *arguments, port=port) as process:
        assert process.wait_end() == 1
        said = [line for line in process.output.splitlines() if line.startswith("cyborg-standalone: ")]
        assert "Traceback" not in process.output
        assert len(said) == 1, process.output
        return said[0]


def test_it_is_ready_soon_says_where_and_every_host_has_been_found_and_published(
    tmp_path: Path, hosts: list[str]
) -> None:
    with Process(tmp_path / "state", *hosts, forked=False) as process:
        url = process.wait_ready()
        assert time.monotonic() - process.started_at < SECONDS_TO_START
        ready = standalone.READY.search(process.output)
        assert ready is not None
        assert ready[2] == f"{url}/placement"
        assert ready[3] == "gpu-1, gpu-2"
        with Client(url) as client:
            assert sorted(one["hostname"] for one in client.list("devices")) == ["gpu-1", "gpu-2", "gpu-2"]
            shown = {name: standalone.shown(client, name) for name in ("gpu-1", "gpu-2")}
        assert {name: one.amount for name, one in shown.items()} == {"gpu-1": (1, 0), "gpu-2": (2, 0)}
        assert all(standalone.GPU_TRAIT in one.traits for one in shown.values())


def test_state_is_kept_over_a_restart_and_both_signals_stop_it_cleanly_while_a_client_is_there(
    tmp_path: Path, hosts: list[str]
) -> None:
    seen: list[dict[str, set[str]]] = []
    disabled, latest = "", {"OpenStack-API-Version": "accelerator latest"}
    for number in (signal.SIGTERM, signal.SIGINT):
        with Process(tmp_path / "state", *hosts) as process:
            with Client(process.wait_ready()) as client:
                if not seen:
                    client.create_profile("any-gpu", standalone.GPU_TRAIT)
                    client.create("any-gpu")
                    disabled = client.list("devices")[0]["uuid"]
                    client.call("POST", f"/v2/devices/{disabled}/disable").expect(204)
                shown = client.call("GET", f"/v2/devices/{disabled}", headers=latest).expect(200).json
                assert shown["status"] == "maintaining"
                collections = ("devices", "deployables", "device_profiles", "accelerator_requests")
                seen.append({name: {one["uuid"] for one in client.list(name)} for name in collections})
                asked = time.monotonic()
                assert process.stop(number) == 0
            assert time.monotonic() - asked < SECONDS_TO_STOP
            assert "Traceback" not in process.output
    assert seen[0] == seen[1]
    assert all(seen[0].values())


def test_a_second_one_on_the_same_state_directory_is_refused(tmp_path: Path, hosts: list[str]) -> None:
    with Process(tmp_path / "state", *hosts) as process:
        url = process.wait_ready()
        said = refusal(tmp_path / "state", *hosts)
        assert str(tmp_path / "state") in said
        assert "in use" in said
        with Client(url) as client:
            assert client.list("devices")


def test_a_taken_port_is_named(tmp_path: Path, hosts: list[str], taken_port: int) -> None:
    assert re.search(rf"127\.0\.0\.1.*{taken_port}", refusal(tmp_path / "state", *hosts, port=taken_port))


@pytest.mark.parametrize("value", ["gpu-1", "=/tmp", "gpu-1=", "gpu-1=/no/such/place"])
def test_a_simulated_host_that_cannot_be_is_refused(value: str) -> None:
    conf = command.configure([f"--simulated-host={value}"])
    with pytest.raises(errors.InvalidRequest, match=re.escape(repr(value))):
        command.parse_hosts(conf)


def test_a_simulated_host_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = refusal(tmp_path / "state", "--simulated-host=gpu-1=/no/such/place")
    assert "'gpu-1=/no/such/place'" in said
    assert "NAME=PATH" in said


def test_a_recording_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "host.yaml").write_text("pci: [1, 2\n", encoding="utf-8")
    assert "host.yaml" in refusal(tmp_path / "state", f"--simulated-host=a={tmp_path / 'host.yaml'}")


def test_an_unknown_driver_is_named_beside_those_that_exist(tmp_path: Path) -> None:
    said = refusal(tmp_path / "state", "--drivers=fake_driver,no_such_driver")
    assert "'no_such_driver'" in said
    assert "fake_driver" in said
