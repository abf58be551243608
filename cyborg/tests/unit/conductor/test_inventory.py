# SPDX-License-Identifier: Apache-2.0
"""Reports and views, through RPC, on a real database."""

from cyborg.domain import report
from cyborg.store import hosts
from cyborg.tests.unit.conductor.conftest import PROVIDER, Cloud
from cyborg.tests.unit.conductor.test_binding import FPGA, GPU


def digests(*devices: report.Device, driver: str = "fake_driver") -> dict[str, str]:
    return {driver: report.DeviceReport(host="host-1", driver=driver, devices=devices).digest}


def addresses(cloud: Cloud) -> list[str]:
    with cloud.store.transaction() as tx:
        stored = hosts.load(tx, "host-1")
    return [] if stored is None else [device.address for device in stored.devices]


def test_an_unchanged_report_is_one_small_question_and_two_statements(cloud: Cloud) -> None:
    shown = cloud.host("host-1", GPU, FPGA)
    before = cloud.store.statements
    answer = cloud.client.sync("host-1", PROVIDER, digests(GPU, FPGA), shown.generation)
    assert (answer.stale, answer.view) == ((), None)
    assert cloud.store.statements - before == 2


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
