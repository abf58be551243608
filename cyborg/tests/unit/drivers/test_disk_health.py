# SPDX-License-Identifier: Apache-2.0
"""What NVMe disks say of their own health: read where that is allowed, judged, and never waited for."""

import errno
import logging
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import errors, report
from cyborg.drivers import nvme_smart
from cyborg.drivers.host import Host
from cyborg.drivers.nvme_logs import SmartLogs
from cyborg.drivers.nvme_ssd import NvmeSsdDriver
from cyborg.drivers.twin import Twin
from cyborg.tests.unit.drivers import builders
from cyborg.tests.unit.drivers.rig import PF
from cyborg.tests.unit.drivers.test_disk_cleaning import DISK

OTHER = "0000:5e:00.0"
Answer = Callable[[str], bytes]


class Hardware:
    """Answers by address, and counts; an answer may wait, or raise."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def run(self, command: str, address: str, value: int = 0, data: bytes = b"") -> bytes:
        assert (command, value, data) == ("nvme_smart", 0, b"")
        self.asked.append(address)
        return self.answers[address](address)


def driver(pause: float = 60.0, patience: float = 2.0) -> NvmeSsdDriver:
    made: NvmeSsdDriver = builders.driver("nvme_ssd", {"vendors": ["144d"], "smart": True})
    made._logs = SmartLogs(patience, pause)
    return made


def twin(directory: Path, smart: dict[str, int] | None = None, **changes: Any) -> Twin:
    return Twin({"pci": {PF: {**DISK, **changes}}, "disks": {PF: {"smart": smart or {}}}}, directory)


def look(host: Host, made: NvmeSsdDriver | None = None) -> report.Device:
    (device,) = (made or driver()).discover(host)
    return device


@pytest.mark.parametrize(
    ("smart", "health", "reasons"),
    [
        ({}, "ok", ()),
        ({"spare": 9}, "degraded", ("spare_low",)),
        ({"spare": 10}, "ok", ()),
        ({"warnings": 0b1}, "degraded", ("spare_low",)),
        ({"used": 100}, "degraded", ("worn_out",)),
        ({"used": 99, "media_errors": 1 << 100, "warm": 7, "hot": 7}, "ok", ()),
        ({"warnings": 0b10}, "degraded", ("temperature_warning",)),
        ({"warnings": 0b100}, "failed", ("reliability_degraded",)),
        ({"warnings": 0b1000}, "failed", ("read_only",)),
        ({"warnings": 0b10000}, "failed", ("backup_failed",)),
        ({"warnings": 0b100000}, "ok", ()),
        ({"warnings": 0b1100, "used": 255}, "failed", ("read_only", "reliability_degraded", "worn_out")),
    ],
)
def test_a_disk_is_what_it_says_it_is(
    tmp_path: Path, smart: dict[str, int], health: str, reasons: tuple[str, ...]
) -> None:
    device = look(twin(tmp_path, smart).host)
    assert (device.health, device.health_reasons) == (health, reasons)


@pytest.mark.parametrize(
    ("field", "finding"),
    [
        ("media_errors", ("degraded", "media_errors")),
        ("warm", ("degraded", "over_temperature")),
        ("hot", ("failed", "over_temperature")),
    ],
)
def test_what_a_disk_counts_for_life_matters_when_it_grows(
    tmp_path: Path, field: str, finding: tuple[str, str]
) -> None:
    made, own = twin(tmp_path, {field: 5}), driver(pause=0.0)
    assert look(made.host, own).health == "ok"
    made.disks[PF].smart[field] = 6
    for _ in range(2):
        device = look(made.host, own)
        assert (device.health, device.health_reasons) == (finding[0], (finding[1],))


def test_what_a_disk_measures_is_of_its_log_but_for_the_kernels_temperature(tmp_path: Path) -> None:
    smart = {"kelvin": 300, "spare": 97, "used": 3, "media_errors": 4}
    measured = {"temp_c": 27.0, "spare_percent": 97.0, "used_percent": 3.0, "media_errors": 4.0}
    made = twin(tmp_path / "a", smart)
    assert driver().measure(made.host) == {PF: measured}
    kernel = {"nvme0": {"state": "live", "hwmon1": {"name": "nvme", "temp1_input": 41850}}}
    made = twin(tmp_path / "b", smart, nvme=kernel)
    assert driver().measure(made.host) == {PF: measured | {"temp_c": 41.85}}


def test_without_the_option_nobody_asks_a_disk(tmp_path: Path) -> None:
    made = builders.host(tmp_path, {PF: DISK})
    hardware = made._commands = Hardware({})
    plain = builders.driver("nvme_ssd", {"vendors": ["144d"]})
    assert look(made, plain).health == "ok"
    assert plain.measure(made) == {}
    assert hardware.asked == []


@pytest.mark.parametrize(
    "changes",
    [
        {"driver": "vfio-pci", "nvme": {}},
        {"driver": None, "nvme": {}},
        {"power_state": "D3hot"},
        {"power": {"runtime_status": "suspended"}},
        {"nvme": {"nvme0": {"state": "resetting"}}},
        {"nvme": {"nvme0": {"state": "live", "transport": "tcp"}}},
    ],
)
def test_a_disk_that_sleeps_or_that_others_drive_is_not_asked(tmp_path: Path, changes: dict[str, Any]) -> None:
    made = builders.host(tmp_path, {PF: {**DISK, **changes}})
    hardware = made._commands = Hardware({})
    look(made)
    driver().measure(made)
    assert hardware.asked == []


def answer(**fields: int) -> Answer:
    return lambda _address: struct.pack("<BHBBB", fields.get("warnings", 0), 300, fields.get("spare", 99), 10, 1).ljust(
        512, b"\0"
    )


def refuse(code: int) -> Answer:
    def fail(_address: str) -> bytes:
        raise OSError(code, "as it was told")

    return fail


def pair(directory: Path, one: Answer, other: Answer) -> tuple[Host, Hardware]:
    functions = {PF: DISK, OTHER: {**DISK, "nvme": {"nvme1": {"state": "live"}}, "iommu_group": 2}}
    made = builders.host(directory, functions)
    made._commands = hardware = Hardware({PF: one, OTHER: other})
    return made, hardware


def test_a_disk_is_asked_once_a_minute_however_often_it_is_looked_at(tmp_path: Path) -> None:
    made, hardware = pair(tmp_path, answer(), answer())
    own = driver()
    for _ in range(3):
        assert len(list(own.discover(made))) == 2
        own.measure(made)
    assert sorted(hardware.asked) == [PF, OTHER]


def test_a_disk_that_does_not_answer_holds_up_nothing_and_keeps_what_it_said(tmp_path: Path) -> None:
    over = threading.Event()

    def hang(_address: str) -> bytes:
        over.wait(60)
        return answer(warnings=0b1000)("")

    made, hardware = pair(tmp_path, answer(spare=5), answer())
    own = driver(pause=0.0, patience=0.2)
    assert [device.health for device in own.discover(made)] == ["degraded", "ok"]
    hardware.answers[PF] = hang
    for _ in range(2):
        assert [device.health for device in own.discover(made)] == ["degraded", "ok"]
    assert hardware.asked.count(PF) == 2
    over.set()
    assert own._logs is not None
    own._logs._asked[PF].wait(10)
    hardware.answers[PF] = answer()
    assert [device.health for device in own.discover(made)][1] == "ok"


@pytest.mark.parametrize("bad", [refuse(errno.EIO), lambda _address: b"\xff" * 512, lambda _address: b""])
def test_a_log_that_cannot_be_read_is_told_of_once_and_changes_nothing(
    tmp_path: Path, bad: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    made, hardware = pair(tmp_path, bad, answer())
    own = driver(pause=0.0)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert [device.health for device in own.discover(made)] == ["ok", "ok"]
        hardware.answers[PF] = answer()
        for _ in range(2):
            list(own.discover(made))
    assert [(record.levelname, PF in record.getMessage()) for record in caplog.records] == [
        ("WARNING", True),
        ("INFO", True),
    ]


def test_without_a_helper_one_disk_is_asked_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def no_helper(_address: str) -> bytes:
        raise errors.DriverError("The helper does not start.")

    made, hardware = pair(tmp_path, no_helper, no_helper)
    own = driver(pause=0.0)
    for _ in range(3):
        assert [device.health for device in own.discover(made)] == ["ok", "ok"]
        own.measure(made)
    assert len(hardware.asked) == 1
    assert [f"{PF}, {OTHER}" in record.getMessage() for record in caplog.records] == [True]


def test_the_page_is_read_as_the_specification_has_it() -> None:
    whole = bytearray(512)
    whole[0:6] = bytes((0b10, 0x36, 0x01, 98, 10, 3))
    whole[160:162] = (300).to_bytes(2, "little")
    whole[192:200] = bytes((1, 0, 0, 0, 2, 0, 0, 0))
    assert nvme_smart.of_page(bytes(whole)) == nvme_smart.Smart(
        warnings=2, temperature=37, spare=98, least_spare=10, used=3, media_errors=300, warm=1, hot=2
    )
