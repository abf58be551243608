# SPDX-License-Identifier: Apache-2.0
"""What golden hosts do not show: options, libraries, and what drivers must not do."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cyborg import drivers as room
from cyborg.domain import errors, report
from cyborg.drivers import check, recorded, traits
from cyborg.drivers.base import Measures
from cyborg.drivers.fake_nvml import FakeNvml
from cyborg.drivers.host import Host
from cyborg.drivers.nvidia_gpu import NvidiaGpuDriver
from cyborg.tests.unit.drivers import builders

DEMO_HOSTS = Path(room.__file__).parents[1] / "demo_hosts"
GPU = {"vendor": 0x10DE, "device": 0x26B9, "class": 0x030200, "driver": "nvidia", "power_state": "D0"}
OPTIONS = {"pci": {"device_spec": ['{"vendor_id": "*"}']}}
EVENTS: list[tuple[str, tuple[Any, ...]]] = []
WATCHING: list[bool] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if WATCHING and event in ("open", "subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.exec"):
        EVENTS.append((event, arguments))


sys.addaudithook(_watch)


@pytest.fixture
def events() -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """What the interpreter opens and starts during the test."""
    EVENTS.clear()
    WATCHING.append(True)
    yield EVENTS
    WATCHING.clear()


GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.mark.parametrize("family", builders.families())
def test_discovery_only_reads_and_starts_nothing(
    tmp_path: Path, family: str, events: list[tuple[str, tuple[Any, ...]]]
) -> None:
    driver = builders.driver(family, OPTIONS.get(family))
    recordings = [*DEMO_HOSTS.glob("*/host.yaml"), *GOLDEN.glob(f"{family}/*/host.yaml")]
    hosts = [recorded.materialise(path, tmp_path / str(number)) for number, path in enumerate(recordings)]
    events.clear()
    for host in hosts:
        list(driver.discover(host))
        if isinstance(driver, Measures):
            driver.measure(host)
    opened = [arguments for event, arguments in events if event == "open"]
    assert len(opened) == len(events)
    assert not any(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) for _, _, flags in opened)
    assert not {Path(str(path)).name for path, _, _ in opened} & {"config", "vpd", "rom", "resource"}


def test_the_mixed_demo_host_has_one_gpu_and_one_fpga(tmp_path: Path) -> None:
    host = recorded.materialise(DEMO_HOSTS / "mixed-host/host.yaml", tmp_path)
    found = [device for family in ("nvidia_gpu", "intel_fpga") for device in builders.driver(family).discover(host)]
    assert [device.type for device in found] == [report.DeviceType.GPU, report.DeviceType.FPGA]


def test_a_recording_can_be_written_again_over_itself(tmp_path: Path) -> None:
    recording = DEMO_HOSTS / "mixed-host/host.yaml"
    first = [function.address for function in recorded.materialise(recording, tmp_path).pci()]
    assert [function.address for function in recorded.materialise(recording, tmp_path).pci()] == first


@pytest.mark.parametrize(
    "text", ["pci: [", "pci: [1]", "- a", "pci: {x: {device: {error: EXDEV}}}", "files: {a: {hex: x}}"]
)
def test_a_recording_that_is_not_understood_is_named(tmp_path: Path, text: str) -> None:
    recording = tmp_path / "host.yaml"
    recording.write_text(text, encoding="utf-8")
    with pytest.raises(errors.HostUnreadable, match=r"host\.yaml"):
        recorded.materialise(recording, tmp_path / "tree")


def test_the_fake_driver_has_sixteen_fpga_accelerators_by_default(tmp_path: Path) -> None:
    (device,) = builders.driver("fake").discover(Host(sysfs=tmp_path))
    (part,) = device.deployables
    assert (device.type, part.resource_class, len(part.accelerators)) == (report.DeviceType.FPGA, "FPGA", 16)
    assert {unit.type for unit in part.accelerators} == {report.HandleType.TEST_PCI}
    assert "CUSTOM_FAKE_DEVICE" in part.traits


def test_the_fake_driver_fails_when_told_so() -> None:
    with pytest.raises(errors.DriverError, match="told to fail"):
        list(builders.driver("fake", {"fail": True}).discover(Host()))


def test_many_fake_cards_have_addresses_of_their_own() -> None:
    devices = list(builders.driver("fake", {"devices": 600, "accelerators": 255}).discover(Host()))
    assert len({device.address for device in devices}) == 600
    units = {tuple(unit.info.values()) for device in devices[:1] for unit in device.deployables[0].accelerators}
    assert len(units) == 255


def test_nothing_is_offered_without_device_spec(tmp_path: Path) -> None:
    assert list(builders.driver("pci").discover(Host(sysfs=tmp_path))) == []


def _nvidia(state: dict[str, Any], **options: Any) -> tuple[NvidiaGpuDriver, FakeNvml]:
    library = FakeNvml(state)
    return NvidiaGpuDriver({"enabled_vgpu_types": [], "filter_sriov_vfs": False} | options, library), library


def test_nvml_is_stopped_whatever_happens_during_the_scan(tmp_path: Path) -> None:
    host = builders.host(tmp_path, {"0000:3b:00.0": GPU, "0000:3c:00.0": GPU})
    driver, library = _nvidia({"init": "ok", "devices": [{"bus_id": "00000000:3B:00.0", "mig_mode": 7}]})
    with pytest.raises(TypeError):
        list(driver.discover(host))
    assert (library.starts, library.running) == (1, False)


def test_nvml_is_not_started_for_cards_that_it_cannot_see(tmp_path: Path) -> None:
    host = builders.host(
        tmp_path, {"0000:3b:00.0": GPU | {"driver": "vfio-pci"}, "0000:3c:00.0": GPU | {"power_state": "D3cold"}}
    )
    driver, library = _nvidia({"init": "ok", "devices": []})
    assert [device.health_reasons for device in driver.discover(host)] == [("not_visible_to_nvml",), ("asleep",)]
    assert library.starts == 0


@pytest.mark.parametrize(
    ("card", "health", "reasons"),
    [
        ({"ecc_uncorrected_volatile": 2}, "failed", ("ecc_uncorrected",)),
        ({"handle_error": "NVML_ERROR_RESET_REQUIRED"}, "failed", ("reset_required",)),
        ({"handle_error": "NVML_ERROR_CORRUPTED_INFOROM"}, "degraded", ("infoROM",)),
        ({"handle_error": "NVML_ERROR_UNKNOWN"}, "unknown", ("nvml_error",)),
        ({"handle_error": "NVML_ERROR_NOT_FOUND"}, "unknown", ("not_visible_to_nvml",)),
        ({"handle_error": "RESET_REQUIRED"}, "failed", ("reset_required",)),
        ({"temperature": "GPU_IS_LOST"}, "failed", ("gpu_lost",)),
        ({"ecc_uncorrected_volatile": "NO_PERMISSION", "uuid": None}, "ok", ()),
        ({"remapped_rows": {"pending": 1}}, "degraded", ("row_remap_pending",)),
        ({"remapped_rows": [0, 0, 0, 1]}, "failed", ("row_remap_failure",)),
        ({"temperature": 86, "slowdown_temperature": 87}, "ok", ()),
        ({"name": b"NVIDIA L40S"}, "ok", ()),
    ],
)
def test_nvml_tells_of_health(tmp_path: Path, card: dict[str, Any], health: str, reasons: tuple[str, ...]) -> None:
    host = builders.host(tmp_path, {"0000:3b:00.0": GPU})
    driver, _ = _nvidia({"init": "ok", "devices": [{"bus_id": "00000000:3B:00.0"} | card]})
    (device,) = driver.discover(host)
    assert (device.health, device.health_reasons) == (health, reasons)


@pytest.mark.parametrize("init", ["LIBRARY_NOT_FOUND", "NVML_ERROR_NO_PERMISSION", "NVML_ERROR_OF_TOMORROW"])
def test_a_library_that_does_not_start_takes_no_card_away(tmp_path: Path, init: str) -> None:
    driver, _ = _nvidia({"init": init})
    (device,) = driver.discover(builders.host(tmp_path, {"0000:3b:00.0": GPU}))
    assert (device.health, device.health_reasons) == ("unknown", ("nvml_unavailable",))


def test_cards_are_told_apart_by_the_domain_too(tmp_path: Path) -> None:
    host = builders.host(tmp_path, {"0000:3b:00.0": GPU, "10000:3b:00.0": GPU})
    cards = [{"bus_id": "00010000:3B:00.0", "uuid": "GPU-wide"}, {"bus_id": "00000000:3B:00.0", "uuid": "GPU-narrow"}]
    driver, _ = _nvidia({"init": "ok", "devices": cards})
    assert [device.facts["uuid"] for device in driver.discover(host)] == ["GPU-narrow", "GPU-wide"]


def test_a_mediated_device_is_told_at_the_vf_that_has_it(tmp_path: Path) -> None:
    def vf(*made: str) -> dict[str, Any]:
        kind = {
            "name": "NVIDIA A10-6Q",
            "available_instances": 1 - len(made),
            "devices": {uuid: {} for uuid in made},
        }
        return GPU | {"physfn": "0000:3b:00.0", "mdev_supported_types": {"nvidia-592": kind}}

    host = builders.host(tmp_path, {"0000:3b:00.0": GPU, "0000:3b:00.4": vf(), "0000:3b:00.5": vf("aa")})
    driver, _ = _nvidia({}, enabled_vgpu_types=["nvidia-592"])
    (shown,) = check.to_fixture_form("nvidia_gpu", driver.discover(host))
    handles = [(one["parent"], one["uuid"]) for part in shown["deployables"] for one in part["attach_handles"]]
    assert handles == [("0000:3b:00.4", None), ("0000:3b:00.5", "aa")]


def test_vfs_are_not_offered_when_they_are_filtered_and_the_pf_is_not_either(tmp_path: Path) -> None:
    host = builders.host(tmp_path, {"0000:3b:00.0": GPU, "0000:3b:00.4": GPU | {"physfn": "0000:3b:00.0"}})
    driver, _ = _nvidia({"init": "ok", "devices": []}, filter_sriov_vfs=True)
    (device,) = driver.discover(host)
    assert device.deployables[0].accelerators == ()


def test_temperatures_are_measured_and_not_reported(tmp_path: Path) -> None:
    host = builders.host(tmp_path, {"0000:3b:00.0": GPU})
    cool, _ = _nvidia({"init": "ok", "devices": [{"bus_id": "00000000:3B:00.0", "temperature": 40}]})
    warm, _ = _nvidia({"init": "ok", "devices": [{"bus_id": "00000000:3B:00.0", "temperature": 70}]})
    assert list(cool.discover(host)) == list(warm.discover(host))
    assert warm.measure(host) == {"0000:3b:00.0": {"temp_c": 70.0}}


def test_further_fpga_ids_can_be_configured(tmp_path: Path) -> None:
    host = builders.host(tmp_path, {"0000:3b:00.0": {"vendor": 0x8086, "device": 0xBEEF, "class": 0x120000}})
    assert list(builders.driver("intel_fpga").discover(host)) == []
    (device,) = builders.driver("intel_fpga", {"device_ids": ["BEEF"]}).discover(host)
    assert device.model == "beef"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9aeffe5f-8457-0612-c000-c9660d824272", {"CUSTOM_FPGA_INTEL_REGION_9AEFFE5F84570612C000C9660D824272"}),
        ("00000000000000000000000000000000", set()),
        ("9aeffe5f", set()),
        (None, set()),
    ],
)
def test_an_id_that_says_nothing_gives_no_trait(text: str | None, found: set[str]) -> None:
    assert traits.identified(report.DeviceType.FPGA, "8086", "REGION", text) == found
