# SPDX-License-Identifier: Apache-2.0
"""Ports of an Intel FPGA that go to virtual functions when a request needs one, and come back after the last."""

import errno
import itertools
from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import errors
from cyborg.drivers import actions
from cyborg.drivers.twin import Died
from cyborg.tests.unit.drivers.rig import PF, Rig
from cyborg.tests.unit.drivers.test_fpga_cleaning import BLANK, CARD, GUESTS, REGION, gbs

ENGINE = {"ports_num": 2, "dfl-fme-region.0": {"fpga_region": {"region1": {"compat_id": REGION}}}}
PORTS = {f"dfl-port.{number + 4}": {"id": hex(number), "afu_id": GUESTS} for number in range(2)}
SHARED: dict[str, Any] = {
    **CARD,
    "sriov_totalvfs": 4,
    "sriov_drivers_autoprobe": 1,
    "sriov_vf_device": "0b31",
    "fpga_region": {"region0": {"dfl-fme.0": ENGINE, **PORTS}},
}
RELEASE, ASSIGN, COUNT = f"dfl_release_port/{PF}", f"dfl_assign_port/{PF}", f"devices/{PF}/sriov_numvfs"


def shared(directory: Path, listed: str = PF, **changes: Any) -> Rig:
    blanks = {REGION: str(gbs(directory / "blank.gbs"))}
    return Rig(
        directory / "host", "intel_fpga", {PF: {**SHARED, **changes}}, vfs_on_demand=[listed], blank_images=blanks
    )


def ports(rig: Rig) -> list[str]:
    return sorted(one.name for one in rig.twin.sysfs.glob(f"bus/pci/devices/{PF}/fpga_region/region*/dfl-port.*"))


def test_a_listed_card_is_offered_as_a_vf_for_each_port(tmp_path: Path) -> None:
    assert sorted(shared(tmp_path / "a").units()) == [f"{PF} region0 vf0", f"{PF} region0 vf1"]
    assert sorted(shared(tmp_path / "b", f"{PF}=1").units()) == [f"{PF} region0 vf0"]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (PF, [(RELEASE, "0"), (RELEASE, "1"), (COUNT, "2")]),
        (f"{PF}=1", [(RELEASE, "0"), (COUNT, "1")]),
    ],
)
def test_ports_leave_before_vfs_are_made_and_come_back_after_the_last(
    tmp_path: Path, listed: str, expected: list[tuple[str, str]]
) -> None:
    rig = shared(tmp_path, listed)
    before, unit = rig.units(), rig.unit("region0 vf0")
    assert rig.prepare(unit)["function"] == "1"
    assert rig.orders() == expected
    rig.twin.writes.clear()
    rig.release(unit)
    assert rig.orders() == [(COUNT, "0"), *((ASSIGN, text) for place, text in expected if place == RELEASE)]
    assert rig.units() == before
    assert ports(rig) == list(PORTS)


def test_a_sibling_that_is_held_keeps_the_ports(tmp_path: Path) -> None:
    rig = shared(tmp_path)
    rig.prepare(rig.unit("region0 vf0"))
    written = len(rig.twin.writes)
    rig.release(rig.unit("region0 vf0", held=frozenset({"0000:3b:00.2"})))
    assert len(rig.twin.writes) == written


def test_a_card_that_is_held_whole_keeps_its_ports(tmp_path: Path) -> None:
    rig = shared(tmp_path)
    with pytest.raises(errors.InUse, match="held whole"):
        rig.prepare(rig.unit("region0 vf1", held=frozenset({PF})))
    assert rig.twin.writes == []


def test_a_vf_is_blanked_through_the_card_and_comes_back_blank(tmp_path: Path) -> None:
    rig = shared(tmp_path)
    unit = rig.unit("region0 vf1")
    rig.prepare(unit)
    rig.twin.soil("0000:3b:00.2")
    rig.clean(unit)
    assert not rig.twin.dirty
    assert {one.driver for one in rig.twin.host.pci() if one.is_vf} == {None}
    rig.release(unit)
    shown = sorted(file.read_text().strip() for file in rig.twin.sysfs.rglob("afu_id"))
    assert shown == sorted([BLANK, GUESTS])


def test_a_port_that_is_open_elsewhere_is_in_use_and_what_left_before_it_comes_back(tmp_path: Path) -> None:
    rig = shared(tmp_path)
    unit = rig.unit("region0 vf0")
    rig.twin.refuse_file(f"command/{RELEASE}", errno.EBUSY)
    with pytest.raises(errors.InUse, match=r"give 2 ports .*EBUSY at dfl_release_port"):
        rig.prepare(unit)
    rig.twin.refuse_file(f"command/{RELEASE}", 0)
    rig.twin.refuse(PF, "sriov_numvfs", errno.ENOMEM)
    with pytest.raises(errors.DriverError, match="ENOMEM at sriov_numvfs"):
        rig.prepare(unit)
    assert ports(rig) == []
    rig.release(unit)
    assert ports(rig) == list(PORTS)


def test_more_ports_than_vfs_that_left_before_are_called_back(tmp_path: Path) -> None:
    rig = shared(tmp_path, f"{PF}=1")
    for number in range(2):
        rig.twin.host.command("dfl_release_port", PF, number)
    rig.twin.writes.clear()
    rig.prepare(rig.unit("region0 vf0"))
    assert rig.orders() == [(ASSIGN, "1"), (COUNT, "1")]


def test_vfs_of_a_card_that_is_not_listed_keep_their_ports(tmp_path: Path) -> None:
    rig = shared(tmp_path, "0000:99:00.0")
    rig.twin.host.command("dfl_release_port", PF, 0)
    rig.twin.host.act(actions.VF_COUNT, PF, "1")
    rig.twin.writes.clear()
    rig.release(rig.unit("region0 vf0"))
    assert rig.twin.writes == []


@pytest.mark.parametrize("after", [False, True])
def test_wherever_the_agent_dies_ports_and_vfs_fit_when_it_is_repeated(tmp_path: Path, after: bool) -> None:
    for number in itertools.count(1):
        rig = shared(tmp_path / str(number))
        before, unit = rig.twin.state(), rig.unit("region0 vf0")
        rig.twin.die_at(number, after=after)
        try:
            rig.prepare(unit)
            rig.release(unit)
        except Died:
            rig.twin.live()
            rig.prepare(unit)
            assert sum(one.is_vf for one in rig.twin.host.pci()) == 2
            rig.release(unit)
            assert ports(rig) == list(PORTS)
        else:
            assert number == 8
            assert {name for name, text in rig.twin.state().items() if before.get(name) != text} == {
                name for name in before if name.endswith("sriov_drivers_autoprobe")
            }
            return


@pytest.mark.parametrize("changes", [{"driver": "intel-fpga-pci"}, {"driver": "vfio-pci"}, {"fpga_region": {}}])
def test_a_listed_card_without_an_engine_that_gives_ports_is_not_offered(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert shared(tmp_path, **changes).units() == {}


def test_an_engine_that_fell_silent_is_told(tmp_path: Path) -> None:
    rig = shared(tmp_path)
    unit = rig.unit("region0 vf0")
    next(rig.twin.sysfs.rglob("ports_num")).write_text("many\n")
    with pytest.raises(errors.CyborgError, match="is not to have a virtual function 0"):
        rig.prepare(unit)
    with pytest.raises(errors.DriverError, match="does not tell how many ports"):
        rig.release(unit)
