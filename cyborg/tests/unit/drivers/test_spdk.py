# SPDX-License-Identifier: Apache-2.0
"""Talking to an SPDK target: pieces of any size, hang-ups, silence, nonsense, and a target that goes away."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cyborg.drivers import spdk_rpc
from cyborg.drivers.host import Host
from cyborg.tests.unit.drivers import builders
from cyborg.tests.unit.drivers.fakes import FakeSpdk

TABLE: dict[str, Any] = {
    "spdk_get_version": {"version": "SPDK v24.09"},
    "rpc_get_methods": ["bdev_get_bdevs"],
    "bdev_get_bdevs": [{"name": "Nvme0n1", "driver_specific": {"nvme": [{"pci_address": "0000:08:00.0"}]}}],
}


class Target:
    """Makes targets at one socket and stops them at the end of the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._running: list[FakeSpdk] = []

    def start(self, table: dict[str, Any]) -> FakeSpdk:
        self._running.append(FakeSpdk(self.path, table))
        return self._running[-1]

    def stop(self) -> None:
        while self._running:
            self._running.pop().stop()
        self.path.unlink(missing_ok=True)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    own = Target(tmp_path / "spdk.sock")
    yield own
    own.stop()


def _client(target: Target, timeout: float = 5) -> spdk_rpc.Client:
    return spdk_rpc.Client(str(target.path), timeout)


@pytest.mark.parametrize("chunk", [0, 1, 2, 1000])
def test_answers_come_in_pieces_of_any_size_over_one_connection(target: Target, chunk: int) -> None:
    fake = target.start({"chunk": chunk, "one": {"text": "}{ ä 浪"}, "two": [1, None]})
    with _client(target) as client:
        assert client.call("one") == {"text": "}{ ä 浪"}
        assert client.call("two", name="x") == [1, None]
    assert fake.connections == 1


def test_an_error_of_the_target_keeps_its_number_and_the_connection(target: Target) -> None:
    fake = target.start({"bad": {"error": {"code": -19, "message": "No such device"}}, "good": 1})
    with _client(target) as client:
        with pytest.raises(spdk_rpc.Failed, match="bad: No such device") as caught:
            client.call("bad")
        assert client.call("good") == 1
    assert caught.value.code == -19
    assert fake.connections == 1


def test_a_hang_up_costs_its_call_one_more_try_and_the_next_call_nothing(target: Target) -> None:
    fake = target.start({"bad": {"hang_up": True}, "good": 1})
    with _client(target) as client:
        with pytest.raises(spdk_rpc.Failed, match="bad: the target hung up"):
            client.call("bad")
        assert client.call("good") == 1
    assert fake.asked == ["bad", "bad", "good"]


def test_a_target_that_is_silent_is_asked_once(target: Target) -> None:
    fake = target.start({"mute": {"silent": True}, "good": 1})
    begun = time.monotonic()
    with _client(target, timeout=0.3) as client:
        with pytest.raises(spdk_rpc.Failed, match=r"mute: no answer within 0\.3 seconds"):
            client.call("mute")
        with pytest.raises(spdk_rpc.Failed, match="did not answer an earlier call"):
            client.call("good")
    assert time.monotonic() - begun < 2
    assert fake.asked == ["mute"]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"[1]", "not understood: it begins with"),
        (b"HTTP/1.1 400", "not understood: it begins with"),
        (b'{"id": 1, "result": ' + b"[" * 200000 + b"}", "not understood"),
        (b'{"id": 1, "result": 7', "hung up"),
    ],
)
def test_nonsense_is_an_error_of_the_call(tmp_path: Path, sent: bytes, message: str) -> None:
    path = tmp_path / "odd.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=_say, args=(server, sent, 2 if "hung" in message else 1))
        thread.start()
        with spdk_rpc.Client(str(path), 5) as client, pytest.raises(spdk_rpc.Failed, match=message):
            client.call("x")
        thread.join()


def _say(server: socket.socket, text: bytes, times: int) -> None:
    for _ in range(times):
        connection, _address = server.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(text)


def test_answers_to_other_calls_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "odd.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        text = b'{"method": "note"} {"id": 99, "result": 1}\n{"id": 1, "result": 2}{"id":'
        thread = threading.Thread(target=_say, args=(server, text, 1))
        thread.start()
        with spdk_rpc.Client(str(path), 5) as client:
            assert client.call("x") == 2
        thread.join()


def test_nobody_listening_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("gone", "file"):
        with pytest.raises(spdk_rpc.NotListening, match=name), spdk_rpc.Client(str(tmp_path / name), 1):
            pass


def test_what_a_target_drove_is_not_forgotten_while_it_does_not_answer(target: Target) -> None:
    driver = builders.driver("spdk", {"sockets": ["x"]}, sockets={"x": str(target.path)})
    target.start(TABLE)
    (before,) = driver.discover(Host())
    target.stop()
    (gone,) = driver.discover(Host())
    target.start(TABLE | {"bdev_get_bdevs": {"error": {"code": -1}}})
    (failing,) = driver.discover(Host())
    target.stop()
    target.start(TABLE | {"bdev_get_bdevs": []})
    (freed,) = driver.discover(Host())

    assert [device.health_reasons for device in (before, gone, failing, freed)] == [
        (),
        ("not_listening",),
        ("rpc_error",),
        (),
    ]
    assert [device.facts["drives"] for device in (before, gone, failing, freed)] == [["0000:08:00.0"]] * 3 + [[]]


WORN = {
    "temperature_celsius": 41,
    "available_spare_percentage": 99,
    "available_spare_threshold_percentage": 10,
    "percentage_used": 3,
    "media_errors": 0,
    "warning_temperature_time_minutes": 0,
    "critical_composite_temperature_time_minutes": 0,
}


def _disks(told: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A target with an NVMe disk of each name, which says that of itself."""
    return {
        "spdk_get_version": {"version": "SPDK v24.09"},
        "rpc_get_methods": ["bdev_nvme_get_controllers", "bdev_nvme_get_controller_health_info"],
        "bdev_nvme_get_controllers": [{"name": name, "ctrlrs": [{"state": "enabled"}]} for name in told],
        "bdev_nvme_get_controller_health_info": lambda params: told[params["name"]],
    }


@pytest.mark.parametrize(
    ("changes", "health", "reasons"),
    [
        ({}, "ok", ()),
        ({"critical_warning": 8}, "failed", ("read_only",)),
        ({"available_spare_percentage": 9}, "degraded", ("spare_low",)),
        ({"media_errors": 1}, "degraded", ("media_errors",)),
        ({"warning_temperature_time_minutes": 1}, "degraded", ("over_temperature",)),
        ({"critical_composite_temperature_time_minutes": 1}, "failed", ("over_temperature",)),
        ({"temperature_celsius": "hot", "percentage_used": None, "media_errors": True}, "ok", ()),
    ],
)
def test_a_target_is_as_well_as_the_worst_of_its_disks(
    target: Target, changes: dict[str, Any], health: str, reasons: tuple[str, ...]
) -> None:
    told = {"Nvme0": dict(WORN), "Nvme1": dict(WORN)}
    target.start(_disks(told))
    driver, host = builders.driver("spdk", {"sockets": ["x"]}, sockets={"x": str(target.path)}), Host()
    assert [device.health for device in driver.discover(host)] == ["ok"]
    told["Nvme1"] |= changes
    (device,) = driver.discover(host)
    assert (device.health, device.health_reasons) == (health, reasons)


def test_a_target_measures_each_of_its_disks_and_the_hottest(target: Target) -> None:
    nowhere: dict[str, Any] = {"error": {"code": -19, "message": "No such device"}}
    target.start(_disks({"Nvme0": WORN, "Nvme1": {"temperature_celsius": 50}, "Remote0": nowhere}))
    driver = builders.driver("spdk", {"sockets": ["x", "/no/such.sock"]}, sockets={"x": str(target.path)})
    assert driver.measure(Host()) == {
        "x": {
            "Nvme0.temp_c": 41.0,
            "Nvme0.spare_percent": 99.0,
            "Nvme0.used_percent": 3.0,
            "Nvme0.media_errors": 0.0,
            "Nvme1.temp_c": 50.0,
            "temp_c": 50.0,
        }
    }


@pytest.mark.parametrize("table", [TABLE, {"rpc_get_methods": {"hang_up": True}}, _disks({"Nvme0": {}})])
def test_a_target_whose_disks_say_nothing_measures_nothing(target: Target, table: dict[str, Any]) -> None:
    target.start(table)
    driver = builders.driver("spdk", {"sockets": ["x"]}, sockets={"x": str(target.path)})
    assert driver.measure(Host()) == {}
