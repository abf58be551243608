# SPDX-License-Identifier: Apache-2.0
"""What a look at a large host costs, counted: the times are `bench.discovery`'s."""

from pathlib import Path
from typing import Any

import pytest

from cyborg.drivers.conformance.watch import watched
from cyborg.drivers.host import Host
from cyborg.tests.unit.drivers import builders, counting, fakes, golden

FUNCTIONS = 64
#: Files opened, directories listed and links followed for one function; an FPGA has the most to be read.
MOST_FOR_ONE = 32
#: Runs of vendors' tools, however many functions there are.
MOST_RUNS = 3
#: devlink as it answers for all ports at once, none of which it knows.
TOOLS = {"devlink -j dev info": '{"info": {}}', "devlink -j health show": '{"health": {}}'}


def _calls(family: str, functions: int, directory: Path) -> counting.Calls:
    """Of a second look: what is read once for as long as the agent runs was read by the first."""
    tools = fakes.FakeTools(TOOLS)
    with golden.at_work(family, counting.host_of(family, functions), directory) as (driver, host):
        host.tools = tools
        assert list(driver.discover(host))
        runs = len(tools.asked)
        with watched(directory) as seen:
            calls = counting.counted(lambda: list(driver.discover(host)))
    assert (seen.started, seen.changed, seen.outside) == ([], [], [])
    assert runs <= MOST_RUNS
    return calls


@pytest.mark.parametrize("family", counting.FAMILIES)
def test_a_host_with_sixty_four_functions_takes_a_few_calls_for_each_and_starts_nothing(
    family: str, tmp_path: Path
) -> None:
    assert _calls(family, FUNCTIONS, tmp_path).total <= MOST_FOR_ONE * FUNCTIONS


@pytest.mark.parametrize("family", counting.FAMILIES)
def test_as_many_functions_again_take_as_many_calls_again(family: str, tmp_path: Path) -> None:
    few = len(golden.recording(counting.case_of(family))["pci"])
    one, two, three = (_calls(family, few * copies, tmp_path / str(copies)) for copies in (1, 2, 3))
    assert three.total - two.total == two.total - one.total > 0
    assert set(three.others) == set(one.others)


def _target(disks: int) -> dict[str, Any]:
    names = [f"Malloc{number}" for number in range(disks)]
    listening = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "192.0.2.10", "trsvcid": "4420"}
    exported = [{"nsid": number, "name": name} for number, name in enumerate(names, 1)]
    subsystem = {"nqn": "nqn.2016-06.io.spdk:all", "listen_addresses": [listening], "namespaces": exported}
    return {
        "spdk_get_version": {"version": "SPDK v24.05"},
        "bdev_get_bdevs": [{"name": name, "product_name": "Malloc disk", "claimed": True} for name in names],
        "nvmf_get_subsystems": [subsystem | {"subtype": "NVMe"}],
    }


def test_a_target_is_asked_as_often_however_many_disks_it_has(tmp_path: Path) -> None:
    asked = []
    for disks in (1, FUNCTIONS):
        socket = tmp_path / str(disks)
        target = fakes.FakeSpdk(socket, _target(disks))
        try:
            (device,) = builders.driver("spdk", {"sockets": [str(socket)]}).discover(Host(sysfs=tmp_path))
        finally:
            target.stop()
        assert len(device.deployables) == disks
        asked.append(target.asked)
    assert asked[0] == asked[1]


def test_every_family_is_counted() -> None:
    assert {*counting.FAMILIES, "fake", "spdk"} == set(builders.families())
