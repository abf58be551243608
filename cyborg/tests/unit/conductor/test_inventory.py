# SPDX-License-Identifier: Apache-2.0
"""Reports and views, through RPC, on a real database."""

import pytest

from cyborg.domain import errors, inventory, report, wire
from cyborg.domain.shape import Layout, Shape
from cyborg.store import hosts
from cyborg.tests import builders
from cyborg.tests.unit.conductor.conftest import NOVA, PROVIDER, Cloud
from cyborg.tests.unit.conductor.test_binding import FPGA, GPU

NESTED = Shape(layout=Layout.NESTED)


def digests(*devices: report.Device, driver: str = "fake_driver") -> dict[str, str]:
    return {driver: report.DeviceReport(host="host-1", driver=driver, devices=devices).digest}


def host(cloud: Cloud) -> inventory.Host:
    with cloud.store.transaction() as tx:
        stored = hosts.load(tx, "host-1")
    assert stored is not None
    return stored


def addresses(cloud: Cloud) -> list[str]:
    with cloud.store.transaction() as tx:
        stored = hosts.load(tx, "host-1")
    return [] if stored is None else [device.address for device in stored.devices]


def statements_of_a_sync(cloud: Cloud, *devices: report.Device, generation: int, wish: Shape | None = None) -> int:
    """Of one that changes nothing; the fewest of three times, as periodic work may come between."""
    counted = []
    for _ in range(3):
        before = cloud.store.statements
        answer = cloud.client.sync("host-1", PROVIDER, digests(*devices), generation, wish=wish)
        assert (answer.stale, answer.view) == ((), None)
        counted.append(cloud.store.statements - before)
    return min(counted)


def test_an_unchanged_report_is_one_small_question_and_two_statements(cloud: Cloud) -> None:
    shown = cloud.host("host-1", GPU, FPGA)
    assert statements_of_a_sync(cloud, GPU, FPGA, generation=shown.generation) == 2


def test_what_changed_is_asked_for_in_full(cloud: Cloud) -> None:
    shown = cloud.host("host-1", GPU)
    answer = cloud.client.sync("host-1", PROVIDER, digests(GPU, FPGA) | {"pci_driver": ""}, shown.generation)
    assert answer.stale == ("fake_driver",)


def test_an_agent_that_lost_its_view_gets_it_again(cloud: Cloud) -> None:
    shown = cloud.host("host-1", GPU)
    assert cloud.client.sync("host-1", PROVIDER, digests(GPU), -1).view == shown


def test_a_driver_that_could_not_look_loses_nothing(cloud: Cloud) -> None:
    cloud.host("host-1", GPU)
    for _ in range(5):
        cloud.client.sync("host-1", PROVIDER, {"fake_driver": ""}, -1)
    assert addresses(cloud) == [GPU.address]


def test_the_devices_of_a_driver_that_is_not_enabled_any_more_go_like_any_absent_device(cloud: Cloud) -> None:
    cloud.host("host-1", GPU)
    answer = cloud.client.sync("host-1", PROVIDER, {"pci_driver": ""}, -1)
    assert answer.view is not None
    assert answer.view.providers[0].traits == frozenset()
    for _ in range(2):
        cloud.client.sync("host-1", PROVIDER, {"pci_driver": ""}, -1)
    assert addresses(cloud) == []
    before = cloud.store.statements
    cloud.client.sync("host-1", PROVIDER, {"pci_driver": ""}, cloud.host("host-1").generation)
    assert cloud.store.statements - before < 20


def test_a_new_host_takes_the_shape_that_its_agent_asks_for(cloud: Cloud) -> None:
    answer = cloud.client.sync("host-1", PROVIDER, {}, -1, wish=NESTED)
    assert answer.view is not None
    assert answer.view.shape == NESTED
    shown = cloud.client.report(report.DeviceReport(host="host-1", driver="fake_driver", devices=(GPU, FPGA)))
    assert len(shown.providers) == 3


def test_a_host_with_devices_takes_another_shape_only_when_it_is_idle_and_holds_nothing(cloud: Cloud) -> None:
    cloud.host("host-1", GPU)

    def shape(*, idle: bool, wish: Shape = NESTED) -> Shape:
        answer = cloud.client.sync("host-1", PROVIDER, {"fake_driver": ""}, -1, wish=wish, idle=idle)
        assert answer.view is not None
        return answer.view.shape

    assert shape(idle=False) == Shape()
    instance = cloud.bind(cloud.request())
    assert shape(idle=True) == Shape()
    cloud.client.delete_for_instance(NOVA, instance)
    assert shape(idle=True) == NESTED
    assert shape(idle=False, wish=Shape()) == NESTED


def test_an_agent_that_has_no_wish_changes_nothing(cloud: Cloud) -> None:
    cloud.client.sync("host-1", PROVIDER, {}, -1, wish=NESTED)
    answer = cloud.client.sync("host-1", PROVIDER, {}, -1)
    assert answer.view is not None
    assert answer.view.shape == NESTED


def test_a_wish_that_is_fulfilled_costs_nothing(cloud: Cloud) -> None:
    shown = cloud.host("host-1", GPU)
    assert statements_of_a_sync(cloud, GPU, generation=shown.generation, wish=Shape()) == 2


def test_a_report_that_was_overtaken_on_its_way_brings_nothing_back(cloud: Cloud) -> None:
    asked = cloud.client.sync("host-1", PROVIDER, {"fake_driver": "new"}, -1)
    both = report.DeviceReport(host="host-1", driver="fake_driver", devices=(builders.gpu(), builders.fpga()))
    one = report.DeviceReport(host="host-1", driver="fake_driver", devices=(builders.fpga(),))
    cloud.client.report(both, asked.sequences["fake_driver"])
    for _ in range(3):
        asked = cloud.client.sync("host-1", PROVIDER, {"fake_driver": one.digest}, -1)
        gone = cloud.client.report(one, asked.sequences["fake_driver"])
    for late in range(4):
        with pytest.raises(errors.Conflict, match="out of date"):
            cloud.client.report(both, late)
    assert cloud.client.sync("host-1", PROVIDER, {"fake_driver": one.digest}, -1).view == gone


def test_the_same_report_delivered_twice_counts_an_absence_once(cloud: Cloud) -> None:
    cloud.host("host-1", builders.gpu())
    empty = report.DeviceReport(host="host-1", driver="fake_driver")
    asked = cloud.client.sync("host-1", PROVIDER, {"fake_driver": empty.digest}, -1)
    cloud.client.report(empty, asked.sequences["fake_driver"])
    for _ in range(5):
        with pytest.raises(errors.Conflict):
            cloud.client.report(empty, asked.sequences["fake_driver"])
    assert [device.absences for device in host(cloud).devices] == [1]


def test_an_old_agent_sends_reports_without_a_number(cloud: Cloud) -> None:
    cloud.host("host-1", builders.gpu())
    cloud.host("host-1", builders.gpu(), builders.fpga())
    assert len(host(cloud).devices) == 2


def test_a_report_that_breaks_off_in_the_middle_is_refused_and_changes_nothing(cloud: Cloud) -> None:
    cloud.host("host-1", builders.gpu())
    before = host(cloud)
    whole = wire.to_wire(report.DeviceReport(host="host-1", driver="fake_driver", devices=(builders.fpga(),)))
    del whole["devices"][0]["deployables"]
    with pytest.raises(errors.InvalidRequest):
        cloud.client._client.call(NOVA, "report", seen=whole)
    assert host(cloud) == before
