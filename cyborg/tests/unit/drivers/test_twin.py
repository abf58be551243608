# SPDX-License-Identifier: Apache-2.0
"""The twin answers writes as a kernel does: with effects, or with the error that a kernel has for it."""

import errno
from pathlib import Path
from typing import Any

import pytest

from cyborg.drivers import actions
from cyborg.drivers.twin import Died, Twin

PF = "0000:3b:00.0"
UUID = "5f5e4d3c-0000-4000-8000-000000000001"
GPU: dict[str, Any] = {"vendor": 0x8086, "device": 0x56C0, "class": 0x038000, "driver": "xe"}
SRIOV = {**GPU, "sriov_totalvfs": 16, "sriov_drivers_autoprobe": 1, "iommu_group": 7}
KINDS = {
    "nvidia-1": {"name": "GRID T4-1B", "available_instances": 16, "devices": {}},
    "nvidia-2": {"name": "GRID T4-2B", "available_instances": 8, "devices": {}},
}


def twin(directory: Path, **functions: dict[str, Any]) -> Twin:
    pci = {f"0000:3b:00.{name[1:]}": entry for name, entry in functions.items()}
    return Twin({"pci": pci}, directory)


def refused(code: int, twin: Twin, *action: str) -> None:
    before = twin.state()
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number says it all
        twin.host.act(*action)
    assert caught.value.errno == code
    assert twin.state() == before


def test_vfs_appear_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    made = twin(tmp_path, f0={**SRIOV, "sriov_offset": 1, "sriov_stride": 1})
    made.host.act(actions.VF_COUNT, PF, "9")
    vfs = [one for one in made.host.pci() if one.is_vf]
    assert [vf.address for vf in vfs][-2:] == ["0000:3b:01.0", "0000:3b:01.1"]
    assert {vf.driver for vf in vfs} == {"xevf"}
    assert len({vf.iommu_group for vf in vfs}) == 9
    assert all(vf.device == "56c0" and vf.isolated for vf in vfs)


def test_without_autoprobe_no_driver_takes_the_vfs(tmp_path: Path) -> None:
    made = twin(tmp_path, f0=SRIOV)
    made.host.act(actions.VF_AUTOPROBE, PF, "0")
    made.host.act(actions.VF_COUNT, PF, "2")
    assert {vf.driver for vf in made.host.pci() if vf.is_vf} == {None}


def test_vfs_go_and_leave_nothing(tmp_path: Path) -> None:
    made = twin(tmp_path, f0=SRIOV)
    before = made.state()
    made.host.act(actions.VF_COUNT, PF, "4")
    made.host.act(actions.VF_COUNT, PF, "0")
    assert made.state() == before


def test_qat_makes_all_whatever_is_asked(tmp_path: Path) -> None:
    made = twin(tmp_path, f0={**SRIOV, "driver": "4xxx"})
    made.host.act(actions.VF_COUNT, PF, "3")
    assert sum(one.is_vf for one in made.host.pci()) == 16


def test_another_number_of_vfs_needs_a_zero_in_between(tmp_path: Path) -> None:
    made = twin(tmp_path, f0=SRIOV)
    made.host.act(actions.VF_COUNT, PF, "4")
    refused(errno.EBUSY, made, actions.VF_COUNT, PF, "5")


def test_too_many_vfs_are_out_of_range(tmp_path: Path) -> None:
    refused(errno.ERANGE, twin(tmp_path, f0=SRIOV), actions.VF_COUNT, PF, "17")


def test_without_a_driver_there_is_nobody_to_make_vfs(tmp_path: Path) -> None:
    refused(errno.ENOENT, twin(tmp_path, f0={**SRIOV, "driver": None}), actions.VF_COUNT, PF, "1")


def test_vfs_that_a_guest_has_stay(tmp_path: Path) -> None:
    made = twin(tmp_path, f0=SRIOV, f1={**GPU, "driver": "vfio-pci", "physfn": PF})
    refused(errno.EBUSY, made, actions.VF_COUNT, PF, "0")


def test_a_reset_cleans_the_function_and_a_bus_reset_its_neighbours_too(tmp_path: Path) -> None:
    made = twin(tmp_path, f0={**GPU, "reset_method": "flr bus"}, f1={**GPU, "reset_method": "bus"})
    made.soil("0000:3b:00.0")
    made.soil("0000:3b:00.1")
    made.host.act(actions.RESET, "0000:3b:00.0")
    assert made.dirty == {"0000:3b:00.1"}
    made.soil("0000:3b:00.0")
    made.host.act(actions.RESET, "0000:3b:00.1")
    assert made.dirty == set()


def test_without_a_method_there_is_no_reset(tmp_path: Path) -> None:
    refused(errno.ENOTTY, twin(tmp_path, f0={**GPU, "reset_method": ""}), actions.RESET, PF)


def test_a_mediated_device_takes_room_and_gives_it_back(tmp_path: Path) -> None:
    made = twin(tmp_path, f0={**GPU, "mdev_supported_types": KINDS})
    before = made.state()
    made.make_mdev(PF, "nvidia-2", UUID)
    kinds = made.host.sys(f"bus/pci/devices/{PF}/mdev_supported_types")
    assert (kinds / "nvidia-2/available_instances").number() == 7
    assert (kinds / "nvidia-1/available_instances").number() == 0
    made.host.act(actions.REMOVE_MDEV, UUID)
    assert made.state() == before


@pytest.mark.parametrize(("kind", "uuid", "code"), [("nvidia-2", UUID, errno.EEXIST), ("nvidia-1", "x", errno.EINVAL)])
def test_a_taken_uuid_and_one_that_is_none_are_refused(tmp_path: Path, kind: str, uuid: str, code: int) -> None:
    made = twin(tmp_path, f0={**GPU, "mdev_supported_types": KINDS})
    made.make_mdev(PF, "nvidia-2", UUID)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        made.make_mdev(PF, kind, uuid)
    assert caught.value.errno == code


def test_there_is_no_room_for_a_second_type(tmp_path: Path) -> None:
    made = twin(tmp_path, f0={**GPU, "mdev_supported_types": KINDS})
    made.make_mdev(PF, "nvidia-2", UUID)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        made.make_mdev(PF, "nvidia-1", UUID.replace("1", "2"))
    assert caught.value.errno == errno.ENOSPC


def typed(directory: Path) -> Twin:
    files = {"current_vgpu_type": 0, "creatable_vgpu_types": {"raw": "ID    : vGPU Name\n1147  : A\n1148  : B\n"}}
    vf = {**GPU, "driver": "nvidia", "nvidia": files, "physfn": PF}
    return twin(directory, f0={**GPU, "driver": "nvidia"}, f1=vf, f2=vf)


def test_a_type_on_one_vf_shortens_the_lists_of_the_others(tmp_path: Path) -> None:
    made = typed(tmp_path)
    before = made.state()
    made.host.act(actions.VGPU_TYPE, "0000:3b:00.1", "1147")
    lists = [(vf.node / "nvidia/creatable_vgpu_types").text() for vf in made.host.pci() if vf.is_vf]
    assert lists == ["ID    : vGPU Name", "ID    : vGPU Name\n1147  : A"]
    refused(errno.EINVAL, made, actions.VGPU_TYPE, "0000:3b:00.1", "1148")
    refused(errno.EINVAL, made, actions.VGPU_TYPE, "0000:3b:00.2", "1148")
    made.host.act(actions.VGPU_TYPE, "0000:3b:00.1", "0")
    assert made.state() == before


def test_a_driver_is_taken_off_and_put_back_by_its_name(tmp_path: Path) -> None:
    made = twin(tmp_path, f0={**GPU, "driver_override": "(null)"})
    before = made.state()
    for action, value in ((actions.OVERRIDE_DRIVER, "xe"), (actions.UNBIND, "1")):
        made.host.act(action, PF, value)
    assert made.host.pci()[0].driver is None
    made.host.act(actions.PROBE, PF)
    assert made.host.pci()[0].driver == "xe"
    made.host.act(actions.OVERRIDE_DRIVER, PF, "")
    assert made.state() == before


@pytest.mark.parametrize(("after", "done"), [(False, "0"), (True, "4")])
def test_a_death_comes_before_or_after_a_write(tmp_path: Path, after: bool, done: str) -> None:
    made = twin(tmp_path, f0=SRIOV)
    made.die_at(1, after=after)
    with pytest.raises(Died):
        made.host.act(actions.VF_COUNT, PF, "4")
    assert (made.host.sys(f"bus/pci/devices/{PF}/sriov_numvfs")).text() == done


def test_a_planted_refusal_lasts_until_it_is_taken_back(tmp_path: Path) -> None:
    made = twin(tmp_path, f0=SRIOV)
    made.refuse(PF, "sriov_numvfs", errno.EIO)
    refused(errno.EIO, made, actions.VF_COUNT, PF, "4")
    made.refuse(PF, "sriov_numvfs", 0)
    made.host.act(actions.VF_COUNT, PF, "4")


def test_a_copy_goes_its_own_way(tmp_path: Path) -> None:
    made = twin(tmp_path / "one", f0=SRIOV)
    other = made.copy(tmp_path / "two")
    other.host.act(actions.VF_COUNT, PF, "4")
    assert len(made.host.pci()) == 1
    assert len(other.host.pci()) == 5
