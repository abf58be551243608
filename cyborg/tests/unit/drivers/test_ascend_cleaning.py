# SPDX-License-Identifier: Apache-2.0
"""Ascend chips between two guests: reset, unless that reaches a chip of somebody else."""

from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import errors
from cyborg.drivers import ascend_work
from cyborg.drivers.huawei_ascend import HuaweiAscendDriver
from cyborg.tests.unit.drivers.rig import PF, UUID, Rig

CHIP: dict[str, Any] = {"vendor": 0x19E5, "class": 0x120000, "driver": "devdrv_device_driver", "iommu_group": 1}
DUO = {**CHIP, "device": 0xD500, "subsystem_device": 0x0110, "reset_method": "bus"}
OTHER = "0000:3c:00.0"


def rig(directory: Path, pci: dict[str, Any], *, settle: float = 0.0, no_bus_reset: bool = False, **types: Any) -> Rig:
    made = Rig(directory, "huawei_ascend", pci)
    options = {"enabled_vnpu_types": [], "no_bus_reset": no_bus_reset, **types}
    made.driver = HuaweiAscendDriver(options, settle=settle)
    made.twin.soil(PF)
    return made


@pytest.mark.parametrize("device", [0xD100, 0xD801, 0xD802, 0xD803])
def test_a_chip_is_made_safe_by_a_reset_of_its_own(tmp_path: Path, device: int) -> None:
    made = rig(tmp_path, {PF: {**CHIP, "device": device, "reset_method": "flr bus"}})
    before = made.units()
    made.clean(made.unit("pf"))
    assert not made.twin.dirty
    assert made.units() == before


def test_a_310p_is_waited_for_until_it_is_itself_again(tmp_path: Path) -> None:
    made = rig(tmp_path, {PF: DUO})
    made.twin.away(PF, 0.2, vendor="0x1000", device="0x02b2")
    made.clean(made.unit("pf"))
    assert made.twin.host.pci()[0].device == "d500"
    assert not made.twin.dirty


def test_the_other_chip_of_its_card_must_be_free(tmp_path: Path) -> None:
    made = rig(tmp_path, {PF: DUO, OTHER: {**DUO, "iommu_group": 2, "driver": "vfio-pci"}})
    with pytest.raises(errors.InUse, match=f"it reaches {OTHER}"):
        made.clean(made.unit("pf", held=frozenset({OTHER})))
    assert made.twin.writes == []
    made.clean(made.unit("pf"))
    assert not made.twin.dirty


@pytest.mark.parametrize("chip", [{"subsystem_device": 0x0100}, {"device": 0xD802}])
def test_a_chip_with_a_card_of_its_own_does_not_wait_for_others(tmp_path: Path, chip: dict[str, Any]) -> None:
    made = rig(tmp_path, {PF: {**DUO, **chip}, OTHER: {**DUO, "iommu_group": 2}})
    made.clean(made.unit("pf", held=frozenset({OTHER})))
    assert not made.twin.dirty


def test_the_chips_behind_one_switch_are_those_of_one_card(tmp_path: Path) -> None:
    made = rig(tmp_path, {PF: DUO, OTHER: DUO, "0000:5e:00.0": DUO})
    buses = {
        PF: "0000:01:00.0/0000:02:00.0",
        OTHER: "0000:01:00.0/0000:02:01.0",
        "0000:5e:00.0": "0000:41:00.0/0000:42:00.0",
    }
    for address, way in buses.items():
        link = made.twin.sysfs / "bus/pci/devices" / address
        place = made.twin.sysfs / "devices/pci0000:00/0000:00:01.0" / way
        place.mkdir(parents=True)
        link.resolve().rename(place / address)
        link.unlink()
        link.symlink_to(Path("../../..") / "devices/pci0000:00/0000:00:01.0" / way / address)
    functions = made.twin.host.pci()
    assert ascend_work.siblings(functions[0], functions) == [OTHER]


def test_a_bus_is_not_reset_where_the_operator_forbids_it(tmp_path: Path) -> None:
    made = rig(tmp_path, {PF: DUO}, no_bus_reset=True)
    with pytest.raises(errors.DriverError, match="no_bus_reset"):
        made.clean(made.unit("pf"))
    assert made.twin.writes == []


KINDS = {"vnpu-vir02": {"name": "vnpu-vir02", "available_instances": 3, "devices": {}}}


def test_a_virtual_npu_that_was_left_is_removed_and_its_chip_is_not_reset(tmp_path: Path) -> None:
    made = rig(tmp_path, {PF: {**DUO, "mdev_supported_types": KINDS}}, enabled_vnpu_types=["vnpu-vir02"])
    made.twin.make_mdev(PF, "vnpu-vir02", UUID)
    made.twin.soil(UUID)
    made.clean(made.unit("vnpu-vir02_0"))
    assert made.twin.dirty == {PF}


def test_a_chip_that_serves_virtual_npus_is_not_reset(tmp_path: Path) -> None:
    whole = rig(tmp_path / "whole", {PF: DUO}).unit("pf")
    made = rig(tmp_path / "cut", {PF: {**DUO, "mdev_supported_types": KINDS}})
    made.twin.make_mdev(PF, "vnpu-vir02", UUID)
    made.twin.writes.clear()
    with pytest.raises(errors.InUse, match="virtual NPUs"):
        made.clean(whole)
    assert made.twin.writes == []
