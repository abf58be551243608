# SPDX-License-Identifier: Apache-2.0
"""Services of a QuickAssist device, chosen by the first request and given up with the last one."""

import errno
import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import errors
from cyborg.drivers.twin import Died
from cyborg.tests.unit.drivers import builders
from cyborg.tests.unit.drivers.rig import PF, Rig
from cyborg.tests.unit.drivers.test_host_work import QAT

STATE, SERVICES, COUNT = (f"devices/{PF}/{file}" for file in ("qat/state", "qat/cfg_services", "sriov_numvfs"))


def device(directory: Path, choices: tuple[str, ...] = ("sym;asym", "dc"), **changes: Any) -> Rig:
    function = {**QAT, "sriov_totalvfs": 2, "qat": {"state": "up", "cfg_services": "sym;asym"}, **changes}
    return Rig(directory, "intel_qat", {PF: function}, vfs_on_demand=[PF], services_on_demand=list(choices))


def test_a_free_device_is_offered_as_each_choice_and_then_as_the_first_requests(tmp_path: Path) -> None:
    rig = device(tmp_path)
    free = rig.units()
    assert sorted(free) == [f"{PF} {part} {key}" for part in ("asym-sym", "dc") for key in ("vf0", "vf1")]
    assert rig.prepare(free[f"{PF} dc vf1"])["function"] == "2"
    assert rig.orders() == [(STATE, "down"), (SERVICES, "dc"), (STATE, "up"), (COUNT, "2")]
    assert sorted(rig.units()) == [f"{PF} dc vf0", f"{PF} dc vf1"]
    rig.twin.writes.clear()
    rig.release(free[f"{PF} dc vf1"])
    assert rig.orders() == [(COUNT, "0"), (STATE, "down"), (SERVICES, "asym;sym"), (STATE, "up")]
    assert rig.units() == free


def test_a_device_that_has_the_services_already_stays_up(tmp_path: Path) -> None:
    rig = device(tmp_path)
    rig.prepare(rig.unit("asym-sym vf0"))
    rig.release(rig.unit("asym-sym vf0"))
    assert rig.orders() == [(COUNT, "2"), (COUNT, "0")]


def test_the_first_request_decides_for_its_siblings(tmp_path: Path) -> None:
    rig = device(tmp_path)
    late = rig.unit("dc vf0")
    rig.prepare(rig.unit("asym-sym vf0"))
    rig.twin.writes.clear()
    with pytest.raises(errors.InUse, match=r"cannot be configured for dc: .* has 2 other virtual functions"):
        rig.prepare(late)
    assert rig.twin.writes == []


def test_a_device_that_is_held_whole_is_not_taken_down(tmp_path: Path) -> None:
    rig = device(tmp_path)
    with pytest.raises(errors.InUse, match="held whole"):
        rig.prepare(rig.unit("dc vf0", held=frozenset({PF})))
    assert rig.twin.writes == []


def test_a_sibling_that_is_held_keeps_vfs_and_services(tmp_path: Path) -> None:
    rig = device(tmp_path)
    rig.prepare(rig.unit("dc vf0"))
    rig.twin.writes.clear()
    rig.release(rig.unit("dc vf0", held=frozenset({"0000:3b:00.2"})))
    assert rig.twin.writes == []


def test_services_that_the_kernel_refuses_leave_the_device_up_as_it_was(tmp_path: Path) -> None:
    rig = device(tmp_path, ("sym;asym", "sym;asym;dc"))
    before = rig.units()
    with pytest.raises(errors.DriverError, match=r"configure .* EINVAL at cfg_services"):
        rig.prepare(before[f"{PF} asym-dc-sym vf0"])
    assert rig.units() == before


def test_a_device_that_something_uses_is_not_taken_down(tmp_path: Path) -> None:
    rig = device(tmp_path)
    rig.twin.refuse(PF, "state", errno.EBUSY)
    with pytest.raises(errors.InUse, match="EBUSY at state"):
        rig.prepare(rig.unit("dc vf0"))
    assert rig.orders() == [(STATE, "down")]


def test_a_device_that_does_not_come_up_is_told(tmp_path: Path) -> None:
    rig = device(tmp_path)
    unit = rig.unit("dc vf0")
    usual = rig.twin.host._write
    rig.twin.host._write = lambda path, text: None if text == "up" else usual(path, text)
    with pytest.raises(errors.DriverError, match="was to be up for dc and is down for dc"):
        rig.prepare(unit)


@pytest.mark.parametrize("after", [False, True])
def test_wherever_the_agent_dies_the_device_is_up_for_who_asked_when_it_is_repeated(
    tmp_path: Path, after: bool
) -> None:
    for number in itertools.count(1):
        rig = device(tmp_path / str(number))
        before, unit = rig.units(), rig.unit("dc vf0")
        rig.twin.die_at(number, after=after)
        try:
            rig.prepare(unit)
            rig.release(unit)
        except Died:
            rig.twin.live()
            rig.prepare(unit)
            assert sorted(rig.units()) == [f"{PF} dc vf0", f"{PF} dc vf1"]
            rig.release(unit)
            assert rig.units() == before
        else:
            assert number == 10
            return


def test_nobody_sees_a_device_down_that_is_only_being_configured(tmp_path: Path) -> None:
    rig = device(tmp_path)
    unit = rig.unit("dc vf0")
    seen: list[str] = []
    looking: list[threading.Thread] = []
    usual = rig.twin.host._write

    def look() -> None:
        seen.extend(one.health for one in rig.driver.discover(rig.twin.host))

    def write(path: Path, text: str) -> None:
        usual(path, text)
        if text == "down":
            looking.append(threading.Thread(target=look))
            looking[0].start()
            looking[0].join(0.2)

    rig.twin.host._write = write
    rig.prepare(unit)
    looking[0].join(10)
    assert seen == ["ok"]


def test_without_choices_a_device_keeps_its_services(tmp_path: Path) -> None:
    rig = device(tmp_path, ())
    assert sorted(rig.units()) == [f"{PF} vf0", f"{PF} vf1"]
    rig.prepare(rig.unit("vf0"))
    rig.release(rig.unit("vf0"))
    assert rig.orders() == [(COUNT, "2"), (COUNT, "0")]


@pytest.mark.parametrize("text", ["", ";", "crypto", "dcc;sym", "sym,asym"])
def test_a_choice_that_makes_no_sense_stops_the_driver(text: str) -> None:
    with pytest.raises(errors.DriverError, match="services_on_demand"):
        builders.driver("intel_qat", {"services_on_demand": [text]})
