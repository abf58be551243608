# SPDX-License-Identifier: Apache-2.0
"""What the golden hosts of AMD, Intel, Xilinx and Inspur cards do not show."""

from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import report
from cyborg.tests.unit.drivers import builders

BROKEN: dict[str, Any] = {"error": "EIO"}
AMD = {"vendor": 0x1002, "device": 0x740F, "class": 0x038000, "driver": "amdgpu", "power_state": "D0"}
INTEL = {"vendor": 0x8086, "device": 0x56C0, "class": 0x038000, "driver": "xe", "power_state": "D0"}
MANAGEMENT = {
    "vendor": 0x10EE,
    "device": 0x5004,
    "class": 0x120000,
    "driver": "xclmgmt",
    "power_state": "D0",
    "ready": 1,
}
USER = {"vendor": 0x10EE, "device": 0x5005, "class": 0x120000, "driver": "xocl", "power_state": "D0", "ready": "0x1"}


def _monitor(**files: Any) -> dict[str, Any]:
    return {"hwmon": {"hwmon7": files}}


def _devices(tmp_path: Path, family: str, functions: dict[str, Any], **options: Any) -> list[report.Device]:
    return list(builders.driver(family, options).discover(builders.host(tmp_path, functions)))


@pytest.mark.parametrize(
    ("family", "function", "sensors"),
    [
        ("amd_gpu", AMD | _monitor(name="amdgpu", temp1_input=45000, power1_average=89000000), (45.0, 89.0)),
        ("amd_gpu", AMD | _monitor(name="amdgpu", temp2_input=52000, power1_input=7500000), (52.0, 7.5)),
        ("amd_gpu", AMD | _monitor(name="amdgpu", temp1_input={"raw": "\n"}), None),
        ("amd_gpu", AMD | {"driver": "vfio-pci"} | _monitor(name="amdgpu", temp1_input=45000), None),
        ("intel_gpu", INTEL | _monitor(name="xe", temp2_input=41000, temp3_input=50000), (41.0, None)),
        ("intel_gpu", INTEL | {"driver": "i915"} | _monitor(name="i915", temp1_input=38500), (38.5, None)),
        ("intel_gpu", INTEL | {"power_state": "D3cold"} | _monitor(name="xe", temp2_input=41000), None),
        ("xilinx_fpga", USER | {"xmc.u.129": {"xmc_fpga_temp": 37}} | _monitor(temp1_input=99000), (37.0, None)),
        ("xilinx_fpga", USER | _monitor(temp1_input=36000), (36.0, None)),
    ],
)
def test_temperature_and_power_are_measured_where_they_can_be(
    tmp_path: Path, family: str, function: dict[str, Any], sensors: tuple[float | None, float | None] | None
) -> None:
    host = builders.host(tmp_path, {"0000:3b:00.1": function})
    found = builders.driver(family).measure(host)
    assert found.keys() == ({"0000:3b:00.1"} if sensors else set())
    for values in found.values():
        assert (values.get("temp_c"), values.get("power_w")) == sensors


@pytest.mark.parametrize(
    "state", [{"power_state": "D3cold"}, {"power_state": "D2"}, {"power": {"runtime_status": "suspended"}}]
)
@pytest.mark.parametrize(
    ("family", "function"),
    [
        ("amd_gpu", AMD | {"unique_id": BROKEN, "mem_info_vram_total": BROKEN, "ras": {"umc_err_count": BROKEN}}),
        ("intel_gpu", INTEL | {"drm": {"card1": {"lmem_total_bytes": BROKEN}}}),
        ("xilinx_fpga", USER | {"ready": BROKEN, "xclbinuuid": BROKEN, "dev_offline": BROKEN}),
    ],
)
def test_nothing_is_asked_of_a_sleeping_card(
    tmp_path: Path, family: str, function: dict[str, Any], state: dict[str, Any]
) -> None:
    (device,) = _devices(tmp_path, family, {"0000:3b:00.1": function | _monitor(temp1_input=BROKEN) | state})
    assert (device.health, device.health_reasons) == (report.Health.UNKNOWN, ("asleep",))
    assert len(device.deployables[0].accelerators) == 1


def test_each_die_of_a_card_is_a_device(tmp_path: Path) -> None:
    devices = _devices(tmp_path, "amd_gpu", {"0000:43:00.0": AMD, "0000:44:00.0": AMD})
    assert [device.address for device in devices] == ["0000:43:00.0", "0000:44:00.0"]


@pytest.mark.parametrize(("limit", "health"), [(-1, "degraded"), (3, "degraded"), (2, "failed"), (1, "failed")])
def test_pending_pages_fail_a_card_only_at_a_limit_that_somebody_set(tmp_path: Path, limit: int, health: str) -> None:
    pages = "0x01 : 0x1000 : P\n0x02 : 0x1000 : P\n0x03 : 0x1000 : R"
    host = builders.host(
        tmp_path,
        {"0000:43:00.0": AMD | {"ras": {"gpu_vram_bad_pages": pages}}},
        {"sys/module/amdgpu/parameters/bad_page_threshold": limit},
    )
    (device,) = builders.driver("amd_gpu").discover(host)
    assert device.health == health


def test_the_management_function_stays_with_the_host_by_default(tmp_path: Path) -> None:
    (device,) = _devices(tmp_path, "xilinx_fpga", {"0000:3b:00.0": MANAGEMENT, "0000:3b:00.1": USER})
    units = [unit.info["function"] for part in device.deployables for unit in part.accelerators]
    assert (device.address, device.facts["control_path"], units) == ("0000:3b:00.1", "0000:3b:00.0", ["1"])


def test_the_function_of_an_alveo_card_is_told_by_its_mark_before_its_id(tmp_path: Path) -> None:
    marked = MANAGEMENT | {"device": 0x5005, "mgmt_pf": {"raw": ""}}
    (device,) = _devices(tmp_path, "xilinx_fpga", {"0000:3b:00.0": marked, "0000:3b:00.1": USER})
    assert (device.address, device.facts["control_path"]) == ("0000:3b:00.1", "0000:3b:00.0")


@pytest.mark.parametrize(
    ("family", "function"),
    [
        ("xilinx_fpga", USER | {"device": 0xBEEF, "driver": None}),
        ("inspur_fpga", {"vendor": 0x1BD4, "device": 0xBEEF, "class": 0x058000}),
    ],
)
def test_further_ids_can_be_configured(tmp_path: Path, family: str, function: dict[str, Any]) -> None:
    assert _devices(tmp_path, family, {"0000:3b:00.0": function}) == []
    (device,) = _devices(tmp_path, family, {"0000:3b:00.0": function}, device_ids=["BEEF"])
    assert device.model == "beef"


@pytest.mark.parametrize("ids", [(0x006C, 0x0065), (0x5004, 0x5005)])
def test_cards_of_advantech_are_known_by_their_own_ids_and_by_those_of_the_chip(
    tmp_path: Path, ids: tuple[int, int]
) -> None:
    functions = {
        f"0000:3b:00.{number}": {"vendor": 0x13FE, "device": device, "class": 0x120000}
        for number, device in enumerate(ids)
    }
    (device,) = _devices(tmp_path, "xilinx_fpga", functions)
    assert (device.address, device.facts["control_path"]) == ("0000:3b:00.1", "0000:3b:00.0")


@pytest.mark.parametrize(
    ("level", "reasons"), [("0x3", ("firewall_tripped",)), ("3", ("firewall_tripped",)), ("0", ())]
)
def test_a_firewall_has_tripped_at_any_level_however_it_is_written(
    tmp_path: Path, level: str, reasons: tuple[str, ...]
) -> None:
    tripped = MANAGEMENT | {"firewall.m.4864": {"detected_level": level}}
    (device,) = _devices(tmp_path, "xilinx_fpga", {"0000:3b:00.0": tripped, "0000:3b:00.1": USER})
    assert device.health_reasons == reasons


@pytest.mark.parametrize(("state", "health"), [("D0", "ok"), ("unknown", "unknown"), ("error", "unknown")])
def test_an_intel_card_whose_power_state_is_not_known_is_left_alone(tmp_path: Path, state: str, health: str) -> None:
    (device,) = _devices(tmp_path, "intel_gpu", {"0000:3b:00.0": INTEL | {"power_state": state}})
    assert device.health == health


def test_a_card_keeps_its_keys_in_another_slot(tmp_path: Path) -> None:
    def keys(slot: str) -> set[tuple[str, str]]:
        functions = {f"{slot}.0": MANAGEMENT, f"{slot}.1": USER}
        (device,) = _devices(tmp_path, "xilinx_fpga", functions)
        return {(part.key, unit.key) for part in device.deployables for unit in part.accelerators}

    assert keys("0000:3b:00") == keys("10000:5e:03") == {("", "pf")}
