# SPDX-License-Identifier: Apache-2.0
"""Errors count when they are new, whatever a card has been through before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyborg.domain import inventory, reconcile, report
from cyborg.drivers.counters import HOLD, Counters
from cyborg.drivers.host import Host
from cyborg.drivers.recorded import FAILS_WITH_EIO, materialise
from cyborg.tests.unit.drivers import builders

CARD = "0000:3b:00.0"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counters(clock: Clock) -> Counters:
    return Counters(clock=clock)


def grew(counters: Counters, value: int | None, **more: Any) -> bool:
    return counters.grew(CARD, "errors", value, **more)


def test_at_first_sight_every_error_is_new(counters: Counters) -> None:
    assert not grew(counters, 0)
    assert counters.grew("another card", "errors", 3)
    assert counters.grew(CARD, "corrected", 10, by=10, first=10)
    assert not counters.grew("another card", "corrected", 9, by=10, first=10)


def test_where_only_growth_counts_the_first_sight_tells_nothing(counters: Counters) -> None:
    assert not grew(counters, 7, first=None)
    assert grew(counters, 8, first=None)


def test_a_counter_that_grew_stays_so_for_the_hold_time(counters: Counters, clock: Clock) -> None:
    grew(counters, 0)
    assert grew(counters, 1)
    clock.now += HOLD - 1
    assert grew(counters, 1)
    clock.now += 1
    assert not grew(counters, 1)
    assert grew(counters, 2)


def test_slow_growth_of_what_counts_by_its_rate_is_no_growth(counters: Counters, clock: Clock) -> None:
    for value in range(0, 100, 5):
        assert not grew(counters, value, by=10, first=10)
        clock.now += HOLD
    assert grew(counters, 110, by=10, first=10)


def test_growth_in_small_steps_within_the_hold_time_counts(counters: Counters, clock: Clock) -> None:
    found = []
    for value in range(6):
        found.append(grew(counters, value * 2, by=10))
        clock.now += HOLD / 10
    assert found == [False, False, False, False, False, True]


def test_a_counter_that_was_set_back_is_seen_for_the_first_time(counters: Counters, clock: Clock) -> None:
    grew(counters, 5)
    clock.now += HOLD
    assert not grew(counters, 0)
    assert grew(counters, 1)
    clock.now += HOLD
    grew(counters, 50)
    clock.now += HOLD
    assert grew(counters, 2)


def test_a_counter_that_cannot_be_read_is_as_it_was(counters: Counters, clock: Clock) -> None:
    assert not grew(counters, None)
    assert grew(counters, 1)
    assert grew(counters, None)
    clock.now += HOLD
    assert not grew(counters, None)


@given(st.lists(st.integers(0, 100), max_size=20))
def test_what_is_kept_and_recalled_judges_as_before(values: list[int]) -> None:
    clock = Clock()
    first = Counters(clock=clock)
    for value in values:
        clock.now += 100
        grew(first, value)
    second = Counters(clock=clock)
    second.recall(first.kept())
    assert grew(second, 50) == grew(first, 50)
    assert second.kept() == first.kept()


def test_there_is_something_new_to_keep_only_when_a_counter_changed(counters: Counters, clock: Clock) -> None:
    grew(counters, 3)
    changes = counters.changes
    for _ in range(5):
        clock.now += HOLD
        grew(counters, 3)
    assert counters.changes == changes
    grew(counters, 4)
    assert counters.changes > changes


@dataclass(frozen=True, kw_only=True)
class Error:
    """``well`` is what stands in the file when there were errors long ago, ``bad`` when there are new ones."""

    family: str
    file: str
    well: str
    bad: str
    expected: tuple[str, str]


FATAL, NONFATAL, CORRECTED = "TOTAL_ERR_FATAL {}", "TOTAL_ERR_NONFATAL {}", "TOTAL_ERR_COR {}"
ECC = "ras/umc_err_count"


def _error(family: str, file: str, before: str, after: str, expected: tuple[str, str]) -> Error:
    return Error(family=family, file=file, well=before, bad=after, expected=expected)


ERRORS = [
    _error("pci", "aer_dev_fatal", FATAL.format(3), FATAL.format(4), ("failed", "fatal_errors")),
    _error("pci", "aer_dev_nonfatal", NONFATAL.format(3), NONFATAL.format(4), ("degraded", "nonfatal_errors")),
    _error("pci", "aer_dev_correctable", CORRECTED.format(9), CORRECTED.format(19), ("degraded", "correctable_errors")),
    _error("amd_gpu", ECC, "ue: 2\nce: 40", "ue: 3\nce: 40", ("failed", "ecc_uncorrected")),
    _error("amd_gpu", ECC, "ue: 2\nce: 40", "ue: 2\nce: 50", ("degraded", "ecc_corrected")),
    _error("amd_gpu", "pcie_replay_count", "70", "80", ("degraded", "pcie_replay")),
    _error("intel_qat", "qat_ras/errors_fatal", "1", "2", ("failed", "ras_fatal")),
    _error("intel_qat", "qat_ras/errors_nonfatal", "1", "2", ("degraded", "ras_nonfatal")),
    _error("intel_qat", "qat_ras/errors_correctable", "50", "60", ("degraded", "ras_correctable")),
]
CARDS: dict[str, dict[str, Any]] = {
    "pci": {"vendor": 0x10DE, "device": 0x20F1, "class": 0x030200},
    "amd_gpu": {"vendor": 0x1002, "device": 0x740F, "class": 0x038000, "driver": "amdgpu"},
    "intel_qat": {"vendor": 0x8086, "device": 0x4940, "class": 0x0B4000, "driver": "4xxx"},
}
OPTIONS = {"pci": {"device_spec": ['{"vendor_id": "10de"}']}}


def looked(family: str, host: Host) -> tuple[str, tuple[str, ...]]:
    (device,) = builders.driver(family, OPTIONS.get(family)).discover(host)
    return str(device.health), device.health_reasons


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{error.family} {error.expected[1]}")
def test_old_errors_pass_and_new_ones_count(error: Error, tmp_path: Path, clock: Clock, counters: Counters) -> None:
    host = materialise({"pci": {CARD: CARDS[error.family] | {"power_state": "D0"}}}, tmp_path)
    host.counters = counters
    place = tmp_path / "sys/bus/pci/devices" / CARD / error.file
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"{error.well}\n")
    looked(error.family, host)
    clock.now += HOLD
    assert looked(error.family, host) == ("ok", ())
    place.write_text(f"{error.bad}\n")
    health, reason = error.expected
    for _ in range(3):
        assert looked(error.family, host) == (health, (reason,))
    clock.now += HOLD
    assert looked(error.family, host) == ("ok", ())


def test_a_heart_that_missed_a_beat_between_two_looks_is_found(tmp_path: Path) -> None:
    files: dict[str, Any] = {f"sys/kernel/debug/qat_4xxx_{CARD}/heartbeat/{name}": 0 for name in ("status", "x")}
    files[f"sys/kernel/debug/qat_4xxx_{CARD}/heartbeat/queries_failed"] = 4
    host = materialise({"pci": {CARD: CARDS["intel_qat"]}, "files": files}, tmp_path)
    assert looked("intel_qat", host) == ("ok", ())
    (tmp_path / f"sys/kernel/debug/qat_4xxx_{CARD}/heartbeat/queries_failed").write_text("5\n")
    assert looked("intel_qat", host) == ("failed", ("heartbeat_lost",))


@pytest.mark.parametrize(
    ("table", "later", "expected"),
    [
        ({"ecc_uncorrected_volatile": 0}, {"ecc_uncorrected_volatile": 1}, ("failed", ("ecc_uncorrected",))),
        ({"ecc_corrected_volatile": 900}, {"ecc_corrected_volatile": 910}, ("degraded", ("ecc_corrected_rate",))),
    ],
)
def test_memory_errors_of_nvidia_cards_count_as_they_come(
    tmp_path: Path, table: Mapping[str, Any], later: Mapping[str, Any], expected: tuple[str, tuple[str, ...]]
) -> None:
    card = {"vendor": 0x10DE, "device": 0x20F1, "class": 0x030200, "driver": "nvidia", "power_state": "D0"}
    host = materialise({"pci": {CARD: card}}, tmp_path)

    def look(counts: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        nvml = {"init": "ok", "devices": [{"bus_id": f"0000{CARD}", "uuid": "GPU-1", **counts}]}
        (device,) = builders.driver("nvidia_gpu", None, nvml).discover(host)
        return str(device.health), device.health_reasons

    assert look(table) == ("ok", ())
    assert look(later) == expected


def test_a_block_that_cannot_be_read_for_once_makes_no_errors_look_new(
    tmp_path: Path, clock: Clock, counters: Counters
) -> None:
    host = materialise({"pci": {CARD: CARDS["amd_gpu"]}}, tmp_path)
    host.counters = counters
    ras = tmp_path / "sys/bus/pci/devices" / CARD / "ras"
    ras.mkdir()
    for block in ("umc", "gfx"):
        (ras / f"{block}_err_count").write_text("ue: 5\nce: 5\n")
    looked("amd_gpu", host)
    clock.now += HOLD
    assert looked("amd_gpu", host) == ("ok", ())
    (ras / "umc_err_count").unlink()
    (ras / "umc_err_count").symlink_to(FAILS_WITH_EIO)
    assert looked("amd_gpu", host) == ("unknown", ("unreadable",))
    (ras / "umc_err_count").unlink()
    (ras / "umc_err_count").write_text("ue: 5\nce: 5\n")
    assert looked("amd_gpu", host) == ("ok", ())


def test_one_card_that_answers_with_errors_leaves_its_neighbours_well(tmp_path: Path) -> None:
    """From the files to the books."""
    addresses = [f"0000:{bus:02x}:00.0" for bus in (0x3B, 0x5E, 0x86)]
    cards = {
        address: CARDS["amd_gpu"] | {"iommu_group": number, "unique_id": f"{number + 1:016x}", "power_state": "D0"}
        for number, address in enumerate(addresses)
    }
    host = materialise({"pci": cards}, tmp_path)
    driver = builders.driver("amd_gpu")
    books = inventory.Host(name="host-1")

    def states() -> Sequence[tuple[str, str]]:
        nonlocal books
        seen = report.DeviceReport(host="host-1", driver="amd_gpu_driver", devices=tuple(driver.discover(host)))
        books = reconcile.plan(books, seen)
        return [(str(device.health), str(device.state(unit))) for device, _, unit in books.units()]

    assert states() == [("ok", "free")] * 3
    place = tmp_path / "sys/bus/pci/devices" / addresses[1]
    (place / "ras").mkdir()
    (place / "ras/umc_err_count").symlink_to(FAILS_WITH_EIO)
    assert states() == [("ok", "free"), ("unknown", "free"), ("ok", "free")]
    (place / "ras/umc_err_count").unlink()
    (place / "ras/umc_err_count").write_text("ue: 1\nce: 0\n")
    assert states() == [("ok", "free"), ("failed", "failed"), ("ok", "free")]
