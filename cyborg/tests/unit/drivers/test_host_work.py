# SPDX-License-Identifier: Apache-2.0
"""Units made ready, cleaned and released by the shipped drivers, on hosts that answer as a kernel does."""

import errno
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import errors, host_work, report
from cyborg.drivers import actions
from cyborg.drivers.twin import Died
from cyborg.tests.unit.drivers import builders
from cyborg.tests.unit.drivers.rig import PF, UUID, Rig

SRIOV: dict[str, Any] = {"sriov_totalvfs": 16, "sriov_drivers_autoprobe": 1, "iommu_group": 7, "reset_method": "flr"}
FLEX = {"vendor": 0x8086, "device": 0x56C0, "class": 0x038000, "driver": "xe", **SRIOV}
QAT = {"vendor": 0x8086, "device": 0x4940, "class": 0x0B4000, "driver": "4xxx", "qat": {"state": "up"}, **SRIOV}
NIC = {"vendor": 0x8086, "device": 0x1572, "class": 0x020000, "driver": "i40e", **SRIOV}
L40S = {"vendor": 0x10DE, "device": 0x26B9, "class": 0x030200, "driver": "nvidia"}
TYPES = {"current_vgpu_type": 0, "creatable_vgpu_types": {"raw": "1147  : NVIDIA L40S-1Q\n1148  : NVIDIA L40S-2Q\n"}}
TYPED = {PF: L40S} | {f"0000:3b:00.{n}": {**L40S, "nvidia": TYPES, "physfn": PF} for n in (4, 5)}
KINDS = {"nvidia-2": {"name": "GRID T4-2B", "available_instances": 8, "devices": {}}}
T4 = {**L40S, "device": 0x1EB8, "mdev_supported_types": KINDS}


def flex(directory: Path, **options: Any) -> Rig:
    return Rig(directory, "intel_gpu", {PF: FLEX}, **({"vfs_on_demand": [f"{PF}=4"]} | options))


def typed(directory: Path) -> Rig:
    return Rig(directory, "nvidia_gpu", TYPED, enabled_vgpu_types=["nvidia-1147"])


def mediated(directory: Path) -> Rig:
    return Rig(directory, "nvidia_gpu", {PF: T4}, enabled_vgpu_types=["nvidia-2"])


def test_a_listed_card_is_offered_as_the_vfs_that_it_could_have(tmp_path: Path) -> None:
    rig = flex(tmp_path)
    (device,) = rig.driver.discover(rig.twin.host)
    assert device.deployables[0].resource_class == "VGPU"
    assert [one.key for one in device.deployables[0].accelerators] == ["vf0", "vf1", "vf2", "vf3"]
    assert all(host_work.needs_preparation(one.type, one.info) for one in device.deployables[0].accelerators)


def test_a_vf_is_made_when_a_request_needs_it_and_has_an_address_then(tmp_path: Path) -> None:
    rig = flex(tmp_path)
    info = rig.prepare(rig.unit("vf2"))
    assert info == {"domain": "0000", "bus": "3b", "device": "00", "function": "3"}
    assert rig.unit("vf2").info == info
    assert not host_work.needs_preparation(report.HandleType.PCI, info)
    assert {vf.driver for vf in rig.twin.host.pci() if vf.is_vf} == {None}


def test_the_second_unit_of_a_card_needs_no_write(tmp_path: Path) -> None:
    rig = flex(tmp_path)
    first, second = rig.unit("vf0"), rig.unit("vf1")
    rig.prepare(first)
    written = len(rig.twin.writes)
    rig.prepare(second)
    assert len(rig.twin.writes) == written


def test_the_card_is_whole_again_after_the_last_release(tmp_path: Path) -> None:
    rig = flex(tmp_path)
    before = rig.units()
    rig.prepare(rig.unit("vf0"))
    rig.release(rig.unit("vf0", held=frozenset({"0000:3b:00.2"})))
    assert sum(one.is_vf for one in rig.twin.host.pci()) == 4
    rig.release(rig.unit("vf1"))
    assert rig.units() == before


def test_vfs_that_a_guest_still_has_are_not_taken_back(tmp_path: Path) -> None:
    rig = flex(tmp_path)
    rig.prepare(rig.unit("vf0"))
    rig.twin.host.act(actions.OVERRIDE_DRIVER, "0000:3b:00.2", "vfio-pci")
    rig.twin.host.act(actions.PROBE, "0000:3b:00.2")
    rig.release(rig.unit("vf0"))
    assert sum(one.is_vf for one in rig.twin.host.pci()) == 4


def test_vfs_of_a_card_that_is_not_listed_are_never_taken_back(tmp_path: Path) -> None:
    rig = flex(tmp_path, vfs_on_demand=[])
    rig.twin.host.act(actions.VF_COUNT, PF, "2")
    rig.release(rig.unit("vf0"))
    assert sum(one.is_vf for one in rig.twin.host.pci()) == 2


def test_a_card_that_is_not_listed_gets_no_vfs(tmp_path: Path) -> None:
    unit = flex(tmp_path / "a").unit("vf1")
    rig = flex(tmp_path / "b", vfs_on_demand=[])
    with pytest.raises(errors.Conflict, match="vfs_on_demand"):
        rig.prepare(unit)
    assert rig.twin.writes == []


def test_a_card_that_is_held_whole_is_not_cut(tmp_path: Path) -> None:
    rig = flex(tmp_path)
    with pytest.raises(errors.InUse):
        rig.prepare(rig.unit("vf1", held=frozenset({PF})))
    assert rig.twin.writes == []


def test_qat_makes_all_its_vfs_and_nothing_is_computed_of_their_addresses(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "intel_qat", {PF: QAT | {"sriov_offset": 8}}, vfs_on_demand=[f"{PF}=2"])
    assert len(rig.units()) == 16
    assert rig.prepare(rig.unit("vf9"))["device"] == "02"


def test_a_vf_of_a_port_keeps_the_physical_network(tmp_path: Path) -> None:
    mapping = {"physical_device_mappings": [f"physnet1:{PF}"]}
    rig = Rig(tmp_path, "intel_nic", {PF: NIC}, vfs_on_demand=[f"{PF}=2"], enabled_nic_types=["x710"], x710=mapping)
    unit = rig.unit("vf1")
    assert unit.info["physical_network"] == rig.prepare(unit)["physical_network"] == "physnet1"


@pytest.mark.parametrize("text", ["3b:00.0", f"{PF}=", f"{PF}=0", f"{PF}=x", "", f"{PF}=-1"])
def test_a_listed_card_that_makes_no_sense_stops_the_driver(text: str) -> None:
    with pytest.raises(errors.DriverError, match="ADDRESS=COUNT"):
        builders.driver("intel_gpu", {"vfs_on_demand": [text]})


def test_a_vf_gets_its_type_and_loses_it(tmp_path: Path) -> None:
    rig = typed(tmp_path)
    before = rig.twin.state()
    unit = rig.unit("vf0")
    assert host_work.needs_preparation(unit.type, unit.info)
    assert rig.prepare(unit) == unit.info
    assert rig.twin.host.sys("bus/pci/devices/0000:3b:00.4/nvidia/current_vgpu_type").number() == 1147
    rig.release(unit)
    assert rig.twin.state() == before


def test_a_type_that_somebody_else_gave_is_left_alone(tmp_path: Path) -> None:
    rig = typed(tmp_path)
    unit = rig.unit("vf0")
    rig.twin.host.act(actions.VGPU_TYPE, "0000:3b:00.4", "1148")
    with pytest.raises(errors.Conflict, match="1148"):
        rig.prepare(unit)
    rig.release(unit)
    assert rig.twin.host.sys("bus/pci/devices/0000:3b:00.4/nvidia/current_vgpu_type").number() == 1148


def test_what_is_read_back_counts_and_not_the_answer_to_the_write(tmp_path: Path) -> None:
    rig = typed(tmp_path)
    unit = rig.unit("vf0")
    rig.twin.refuse("0000:3b:00.4", "current_vgpu_type", errno.EIO)
    with pytest.raises(errors.DriverError, match="EIO"):
        rig.prepare(unit)
    rig.twin.sysfs.joinpath("bus/pci/devices/0000:3b:00.4/nvidia/current_vgpu_type").write_text("1147\n")
    assert rig.prepare(unit) == unit.info


@pytest.mark.parametrize("step", ["clean", "release"])
def test_a_mediated_device_that_was_left_is_removed(tmp_path: Path, step: str) -> None:
    rig = mediated(tmp_path)
    before = rig.twin.state()
    unit = rig.unit("T4-2B_0")
    assert rig.prepare(unit) == unit.info
    rig.twin.make_mdev(PF, "nvidia-2", UUID)
    rig.twin.soil(UUID)
    getattr(rig, step)(unit)
    assert rig.twin.state() == before
    assert not rig.twin.dirty
    getattr(rig, step)(unit)


def test_a_mediated_device_of_a_running_guest_is_in_use(tmp_path: Path) -> None:
    rig = mediated(tmp_path)
    rig.twin.make_mdev(PF, "nvidia-2", UUID)
    rig.twin.refuse(UUID, "remove", errno.EBUSY)
    with pytest.raises(errors.InUse):
        rig.release(rig.unit("T4-2B_0"))


def test_a_mediated_device_of_another_card_is_left_alone(tmp_path: Path) -> None:
    other = "0000:5e:00.0"
    rig = Rig(tmp_path, "nvidia_gpu", {PF: T4, other: T4}, enabled_vgpu_types=["nvidia-2"])
    rig.twin.make_mdev(other, "nvidia-2", UUID)
    with pytest.raises(errors.Conflict):
        rig.release(rig.unit("T4-2B_0"))


PLAIN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "amd_gpu": ({"vendor": 0x1002, "device": 0x740F, "class": 0x038000, "driver": "amdgpu"}, {}),
    "intel_gpu": (FLEX, {}),
    "intel_nic": (NIC, {}),
    "intel_qat": (QAT, {}),
    "nvidia_gpu": ({**L40S, "driver_override": "(null)"}, {}),
    "pci": (NIC, {"device_spec": ['{"vendor_id": "8086"}']}),
}


def plain(directory: Path, family: str, **changes: Any) -> Rig:
    function, options = PLAIN[family]
    return Rig(directory, family, {PF: {**function, "reset_method": "flr bus", **changes}}, **options)


@pytest.mark.parametrize("family", PLAIN)
def test_a_function_is_cleaned_by_its_own_reset_and_is_as_before(tmp_path: Path, family: str) -> None:
    rig = plain(tmp_path, family)
    before, unit = rig.twin.state(), rig.unit("pf")
    rig.twin.soil(PF)
    rig.clean(unit)
    assert not rig.twin.dirty
    assert rig.twin.state() == before


@pytest.mark.parametrize("family", PLAIN)
def test_a_function_that_cannot_be_reset_is_not_said_to_be_clean(tmp_path: Path, family: str) -> None:
    rig = plain(tmp_path, family, reset_method="")
    with pytest.raises(errors.DriverError, match="cannot be reset"):
        rig.clean(rig.unit("pf"))
    assert rig.twin.writes == []


@pytest.mark.parametrize("family", PLAIN)
def test_another_card_at_the_address_is_not_touched(tmp_path: Path, family: str) -> None:
    rig = plain(tmp_path, family)
    with pytest.raises(errors.NotFound, match="replaced"):
        rig.clean(rig.unit("pf", model="ffff"))
    assert rig.twin.writes == []


def test_a_reset_that_the_kernel_refuses_is_an_error(tmp_path: Path) -> None:
    rig = plain(tmp_path, "intel_gpu")
    rig.twin.refuse(PF, "reset", errno.ENOTTY)
    with pytest.raises(errors.DriverError, match="ENOTTY"):
        rig.clean(rig.unit("pf"))


NEIGHBOUR = {"vendor": 0x8086, "device": 0x1572, "class": 0x020000}


@pytest.mark.parametrize(
    ("method", "driver", "held", "word"), [("bus", None, True, "held"), ("bus", "i40e", False, "i40e")]
)
def test_a_bus_is_not_reset_under_a_neighbour(
    tmp_path: Path, method: str, driver: str | None, held: bool, word: str
) -> None:
    neighbour = "0000:3b:00.1"
    pci = {PF: {**FLEX, "reset_method": method}, neighbour: {**NEIGHBOUR, "driver": driver}}
    rig = Rig(tmp_path, "intel_gpu", pci)
    with pytest.raises(errors.InUse, match=word):
        rig.clean(rig.unit("pf", held=frozenset({neighbour}) if held else frozenset()))
    assert rig.twin.writes == []


def test_a_bus_whose_other_functions_are_free_is_reset(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "intel_gpu", {PF: {**FLEX, "reset_method": "bus"}, "0000:3b:00.1": NEIGHBOUR})
    rig.twin.soil(PF)
    rig.clean(rig.unit("pf"))
    assert not rig.twin.dirty


def test_an_older_kernel_might_reset_the_whole_bus(tmp_path: Path) -> None:
    functions = {PF: {**FLEX, "reset": ""}, "0000:3b:00.1": {**NEIGHBOUR, "driver": "i40e"}}
    del functions[PF]["reset_method"]
    rig = Rig(tmp_path, "intel_gpu", functions)
    with pytest.raises(errors.InUse):
        rig.clean(rig.unit("pf"))


def test_a_function_that_the_host_works_with_is_not_reset(tmp_path: Path) -> None:
    rig = plain(tmp_path, "intel_nic", net={"eth1": {}})
    unit = rig.unit("pf")
    routes = tmp_path / "proc/net/route"
    routes.parent.mkdir(parents=True)
    routes.write_text("Iface\tDestination\neth1\t00000000\n")
    with pytest.raises(errors.InUse, match="network_in_use"):
        rig.clean(unit)
    assert rig.twin.writes == []


def test_a_function_that_stores_data_is_not_made_safe_by_a_reset(tmp_path: Path) -> None:
    disk = {"vendor": 0x144D, "device": 0xA824, "class": 0x010802, "reset_method": "flr"}
    rig = Rig(tmp_path, "pci", {PF: disk}, device_spec=['{"vendor_id": "144d"}'])
    with pytest.raises(errors.DriverError, match="nvme_ssd_driver"):
        rig.clean(rig.unit("pf"))
    assert rig.twin.writes == []


@pytest.mark.parametrize(
    ("family", "function", "options"),
    [
        ("amd_gpu", {"vendor": 0x1002, "device": 0x74A1, "class": 0x120000, "driver": "gim"}, {}),
        ("nvme_ssd", {"vendor": 0x144D, "device": 0xA824, "class": 0x010802, "driver": "nvme"}, {"vendors": ["144d"]}),
        ("pci", {"vendor": 0x177D, "device": 0xA065, "class": 0x020000, "driver": "x"}, {"device_spec": ["{}"]}),
        ("xilinx_fpga", {"vendor": 0x10EE, "device": 0x5011, "class": 0x120000, "driver": "xocl"}, {}),
    ],
)
def test_other_families_make_vfs_on_demand_too(
    tmp_path: Path, family: str, function: dict[str, Any], options: dict[str, Any]
) -> None:
    rig = Rig(tmp_path, family, {PF: {**function, **SRIOV}}, vfs_on_demand=[f"{PF}=2"], **options)
    before = rig.units()
    assert sorted(before) == [f"{PF} vf0", f"{PF} vf1"]
    assert rig.prepare(rig.unit("vf1"))["function"] == "2"
    rig.release(rig.unit("vf1"))
    assert rig.units() == before


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("intel_gpu", {"driver": None}),
        ("intel_gpu", {"driver": "vfio-pci"}),
        ("intel_gpu", {"sriov_totalvfs": 0}),
        ("intel_gpu", {"sriov_totalvfs": {"error": "EIO"}}),
        ("intel_qat", {"iommu_group": None}),
        ("intel_qat", {"qat": {"state": "down"}}),
        ("amd_gpu", {"driver": "amdgpu"}),
    ],
)
def test_vfs_that_nothing_could_make_are_not_offered_and_the_card_is_not_either(
    tmp_path: Path, family: str, changes: dict[str, Any]
) -> None:
    base = {"intel_gpu": FLEX, "intel_qat": QAT, "amd_gpu": {**PLAIN["amd_gpu"][0], **SRIOV}}[family]
    assert Rig(tmp_path, family, {PF: {**base, **changes}}, vfs_on_demand=[f"{PF}=4"]).units() == {}


BOTH: dict[str, Any] = {
    "enabled_vgpu_types": ["nvidia-1147", "nvidia-1148"],
    "vgpu_nvidia-1147": {"device_addresses": [PF]},
    "vgpu_nvidia-1148": {"device_addresses": [PF]},
}


def test_a_card_of_several_types_is_offered_as_each_until_the_first_request_decides(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "nvidia_gpu", TYPED, **BOTH)
    free = rig.units()
    assert sorted(free) == [f"{PF} nvidia-1148 vf0", f"{PF} nvidia-1148 vf1", f"{PF} vf0", f"{PF} vf1"]
    rig.prepare(free[f"{PF} nvidia-1148 vf1"])
    assert sorted(rig.units()) == [f"{PF} nvidia-1148 vf0", f"{PF} nvidia-1148 vf1"]
    rig.release(free[f"{PF} nvidia-1148 vf1"])
    assert rig.units() == free


@pytest.mark.parametrize(("key", "held"), [("vf0", "0000:3b:00.5"), ("vf1", "0000:3b:00.5")])
def test_the_type_of_a_card_stays_while_a_sibling_is_held(tmp_path: Path, key: str, held: str) -> None:
    rig = Rig(tmp_path, "nvidia_gpu", TYPED, **BOTH)
    other = rig.unit(key, held=frozenset({held}))
    rig.prepare(rig.unit("nvidia-1148 vf1"))
    rig.twin.writes.clear()
    with pytest.raises(errors.InUse, match="is held"):
        rig.prepare(other)
    assert rig.twin.writes == []


def test_mediated_devices_are_of_the_first_type_that_lists_their_card(tmp_path: Path) -> None:
    kinds = {**KINDS, "nvidia-1": {"name": "GRID T4-1B", "available_instances": 16, "devices": {}}}
    options: dict[str, Any] = {
        "enabled_vgpu_types": ["nvidia-2", "nvidia-1"],
        "vgpu_nvidia-2": {"device_addresses": [PF]},
        "vgpu_nvidia-1": {"device_addresses": [PF]},
    }
    rig = Rig(tmp_path, "nvidia_gpu", {PF: {**T4, "mdev_supported_types": kinds}}, **options)
    assert {unit.info["asked_type"] for unit in rig.units().values()} == {"nvidia-2"}


CRASHES: dict[str, tuple[Callable[[Path], Rig], str]] = {
    "vfs on demand": (flex, "vf1"),
    "typed vfs": (typed, "vf0"),
}


@pytest.mark.parametrize("name", CRASHES)
@pytest.mark.parametrize("after", [False, True])
def test_preparing_again_after_a_death_at_any_write_comes_to_the_same(tmp_path: Path, name: str, after: bool) -> None:
    make, key = CRASHES[name]
    whole = make(tmp_path / "whole")
    expected = whole.prepare(whole.unit(key))
    for number in range(1, len(whole.twin.writes) + 1):
        rig = make(tmp_path / str(number))
        unit = rig.unit(key)
        rig.twin.die_at(number, after=after)
        with pytest.raises(Died):
            rig.prepare(unit)
        rig.twin.live()
        assert rig.prepare(unit) == expected
        assert rig.twin.state() == whole.twin.state()


@pytest.mark.parametrize("after", [False, True])
def test_a_driver_that_was_taken_off_for_a_reset_comes_back_after_a_death(tmp_path: Path, after: bool) -> None:
    for number in itertools.count(1):
        rig = plain(tmp_path / str(number), "nvidia_gpu")
        before, unit = rig.twin.state(), rig.unit("pf")
        rig.twin.soil(PF)
        rig.twin.die_at(number, after=after)
        try:
            rig.clean(unit)
        except Died:
            rig.twin.live()
            rig.clean(unit)
            assert rig.twin.state() == before
            assert not rig.twin.dirty
        else:
            assert number == 6
            break
