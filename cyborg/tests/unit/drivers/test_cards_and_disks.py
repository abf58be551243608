# SPDX-License-Identifier: Apache-2.0
"""QAT, Ascend, NVMe and network cards: what golden hosts do not show, because it takes time, a log or an error."""

import logging
from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import errors
from cyborg.drivers import loader
from cyborg.drivers.host import Host
from cyborg.drivers.huawei_ascend import HuaweiAscendDriver
from cyborg.tests.unit.drivers import builders, fakes

CHIP = {"vendor": 0x19E5, "device": 0xD500, "class": 0x120000, "driver": "devdrv_device_driver", "iommu_group": 4}
IN_RESET = {"vendor": 0x1000, "device": 0x02B2, "class": 0xFF0000}
PORT = {"vendor": 0x8086, "device": 0x1572, "class": 0x020000, "driver": "i40e", "iommu_group": 5}
QAT = {"vendor": 0x8086, "device": 0x4940, "class": 0x0B4000, "driver": "4xxx"}
TABLE = "| 2 310P3 | OK | 33.1 71 0 / 0 |\n| 0 | 0000:03:00.0 | 0 |\n"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _host(directory: Path, functions: dict[str, Any], table: str = "") -> tuple[Host, fakes.FakeTools]:
    host = builders.host(directory, functions)
    tools = fakes.FakeTools({"npu-smi info": table})
    host.tools = tools
    return host, tools


def test_a_chip_in_reset_is_still_the_same_chip_for_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    driver = HuaweiAscendDriver({"enabled_vnpu_types": [], "no_bus_reset": False}, clock)
    (before,) = driver.discover(_host(tmp_path, {"0000:03:00.0": CHIP})[0])
    clock.now += 59
    host, _ = _host(tmp_path, {"0000:03:00.0": IN_RESET, "0000:04:00.0": IN_RESET})
    (during,) = driver.discover(host)
    assert (during.address, during.model, during.deployables) == (before.address, before.model, before.deployables)
    assert (during.health, during.health_reasons) == ("unknown", ("reset_pending",))
    clock.now += 2
    assert list(driver.discover(host)) == []


def test_a_chip_has_the_temperature_and_power_of_its_row(tmp_path: Path) -> None:
    host, _ = _host(tmp_path, {"0000:03:00.0": CHIP, "0000:04:00.0": CHIP}, TABLE)
    assert builders.driver("huawei_ascend").measure(host) == {"0000:03:00.0": {"temp_c": 71.0, "power_w": 33.1}}


@pytest.mark.parametrize(
    "board",
    [
        "Health : OK\nChip ID : 0\nMCU Health : Alarm\n",
        "Chip ID : 0\nHealth : OK\n\nMCU : Alarm\n",
        "Chip ID : 0\nHealth : OK\nChip ID : MCU\nHealth : Alarm\n",
    ],
)
def test_the_board_controller_is_heard_whatever_the_form_of_its_report(tmp_path: Path, board: str) -> None:
    host = builders.host(tmp_path, {"0000:03:00.0": CHIP})
    host.tools = fakes.FakeTools({"npu-smi info": TABLE, "npu-smi info -t health -i 2": board})
    (device,) = builders.driver("huawei_ascend").discover(host)
    assert (device.health, device.health_reasons) == ("degraded", ("npu_alarm",))


@pytest.mark.parametrize("change", [{"driver": "vfio-pci"}, {"driver": None}, {"power_state": "D3hot"}])
def test_the_tool_is_not_started_for_chips_that_it_cannot_see(tmp_path: Path, change: dict[str, Any]) -> None:
    host, tools = _host(tmp_path, {"0000:03:00.0": CHIP | change})
    driver = builders.driver("huawei_ascend")
    assert len(list(driver.discover(host))) == 1
    assert driver.measure(host) == {}
    assert tools.asked == []


def test_no_tool_is_started_on_a_host_without_its_cards(tmp_path: Path) -> None:
    host, tools = _host(tmp_path, {"0000:6b:00.0": QAT})
    for family in builders.families():
        list(builders.driver(family).discover(host))
    assert tools.asked == []


@pytest.mark.parametrize(
    ("mappings", "message"),
    [
        (["physnet1"], "'physnet1' is not name:port"),
        ([":ens1"], "':ens1' is not name:port"),
        (["physnet1:ens1||ens2"], "is not name:port"),
        (["physnet1:ens1", "physnet1:ens2"], "physnet1 is given twice"),
        (["physnet1:ens1", "physnet2:ens1"], "ens1 is in physnet1 and in physnet2"),
        (["a:0000:05:00.0", "b:0000:05:00.0"], "0000:05:00.0 is in a and in b"),
        ([f"{'n' * 201}:ens1"], "n+ is longer than 200 characters"),
    ],
)
def test_a_mapping_that_is_not_understood_is_named(mappings: list[str], message: str) -> None:
    options = {"enabled_nic_types": ["nets"], "nets": {"physical_device_mappings": mappings}}
    with pytest.raises(errors.DriverError, match=rf"\[nets\] physical_device_mappings: .*{message}"):
        builders.driver("intel_nic", options)


def test_a_port_that_does_not_exist_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = {"enabled_nic_types": ["nets"], "nets": {"function_device_mappings": ["GTP:gone|ens1"]}}
    driver = builders.driver("intel_nic", options)
    host = builders.host(tmp_path, {"0000:05:00.0": PORT | {"net": {"ens1": {}}}})
    for _ in range(2):
        list(driver.discover(host))
    assert [record.getMessage().split()[0] for record in caplog.records] == ["gone"]


def test_a_port_keeps_its_network_while_a_guest_has_it(tmp_path: Path) -> None:
    options = {"enabled_nic_types": ["nets"], "nets": {"physical_device_mappings": ["physnet1:ens1"]}}
    driver = builders.driver("intel_nic", options)
    (before,) = driver.discover(builders.host(tmp_path, {"0000:05:00.0": PORT | {"net": {"ens1": {}}}}))
    (held,) = driver.discover(builders.host(tmp_path, {"0000:05:00.0": PORT | {"driver": "vfio-pci"}}))
    assert held.deployables == before.deployables
    assert held.deployables[0].accelerators[0].info["physical_network"] == "physnet1"


def test_ports_that_have_no_network_say_so_to_whoever_plugs_them(tmp_path: Path) -> None:
    (device,) = builders.driver("intel_nic").discover(builders.host(tmp_path, {"0000:05:00.0": PORT}))
    assert device.deployables[0].accelerators[0].info["physical_network"] is None


def test_a_heartbeat_that_nobody_may_see_is_told_once_and_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    driver = builders.driver("intel_qat")
    host = builders.host(tmp_path, {"0000:6b:00.0": QAT, "0000:70:00.0": QAT})
    healths = [device.health for _ in range(2) for device in driver.discover(host)]
    assert healths == ["ok"] * 4
    assert len([record for record in caplog.records if "heartbeat" in record.message]) == 1


def test_only_inspur_disks_are_offered_unless_others_are_named(tmp_path: Path) -> None:
    disk = {"class": 0x010802, "driver": "nvme", "device": 0x1001}
    host = builders.host(
        tmp_path, {"0000:01:00.0": disk | {"vendor": 0x1BD4}, "0000:02:00.0": disk | {"vendor": 0x144D}}
    )
    assert [device.vendor for device in builders.driver("nvme_ssd").discover(host)] == ["1bd4"]
    assert [device.vendor for device in builders.driver("nvme_ssd", {"vendors": ["0x144D"]}).discover(host)] == ["144d"]


@pytest.mark.parametrize("name", ["inspur_nvme_ssd_driver", "nvmf_spdk_driver"])
def test_earlier_names_of_drivers_still_work(name: str) -> None:
    assert loader.make(name, {}).__class__.__module__ in ("cyborg.drivers.nvme_ssd", "cyborg.drivers.spdk")
