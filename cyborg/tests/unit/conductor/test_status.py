# SPDX-License-Identifier: Apache-2.0
"""Devices and hosts are closed and opened through the conductor, and agents are told."""

import pytest

from cyborg.domain import errors, inventory
from cyborg.store import devices, host_list
from cyborg.store.records import DeviceRecord
from cyborg.tests import builders
from cyborg.tests.unit.conductor.conftest import NOVA, Cloud

CLOSED, OPEN = inventory.DeviceStatus.MAINTAINING, inventory.DeviceStatus.ENABLED


def device(cloud: Cloud) -> DeviceRecord:
    with cloud.store.reading() as tx:
        return devices.page(tx)[0]


def test_a_device_in_use_is_closed_only_when_it_may_drain(cloud: Cloud) -> None:
    cloud.host("host-1", builders.gpu())
    cloud.bind(cloud.request())
    with pytest.raises(errors.InUse, match="1 of its accelerators are held"):
        cloud.client.set_device_status(NOVA, device(cloud).uuid, CLOSED, drain=False)
    assert device(cloud).status is OPEN
    effect = cloud.client.set_device_status(NOVA, device(cloud).uuid, CLOSED)
    assert (effect.holders, effect.after["held"]) == (1, 1)
    assert device(cloud).status is CLOSED


def test_a_dry_run_changes_nothing(cloud: Cloud) -> None:
    cloud.host("host-1", builders.gpu())
    before = device(cloud)
    effect = cloud.client.set_device_status(NOVA, before.uuid, CLOSED, dry_run=True)
    assert (effect.before["free"], effect.after["disabled"]) == (1, 1)
    assert device(cloud) == before


def test_a_change_on_an_old_picture_is_refused(cloud: Cloud) -> None:
    cloud.host("host-1", builders.gpu())
    known = device(cloud)
    cloud.client.set_device_status(NOVA, known.uuid, CLOSED, generation=known.generation)
    with pytest.raises(errors.Conflict, match="Read it again"):
        cloud.client.set_device_status(NOVA, known.uuid, OPEN, generation=known.generation)
    assert device(cloud).status is CLOSED


def test_a_closed_host_offers_nothing_until_it_is_opened_and_reports_do_not_open_it(cloud: Cloud) -> None:
    cloud.host("host-1", builders.gpu())
    cloud.client.set_host_status(NOVA, "host-1", inventory.HostStatus.DISABLED)
    assert cloud.agent.views.get(timeout=10).providers[0].inventories["CUSTOM_ACCELERATOR"].usable == 0
    cloud.host("host-1", builders.gpu(), builders.gpu("0000:3c:00.0"))
    with pytest.raises(errors.NoAccelerator, match="2 disabled"):
        cloud.bind(cloud.request())
    cloud.client.set_host_status(NOVA, "host-1", inventory.HostStatus.ENABLED)
    assert cloud.agent.views.get(timeout=10).providers[0].inventories["CUSTOM_ACCELERATOR"].usable == 2
    cloud.bind(cloud.request())
    with cloud.store.reading() as tx:
        assert host_list.get(tx, "host-1").accelerators == {"held": 1, "free": 1}


def test_an_unknown_host_is_not_found(cloud: Cloud) -> None:
    with pytest.raises(errors.NotFound, match="host-9"):
        cloud.client.set_host_status(NOVA, "host-9", inventory.HostStatus.DISABLED)


def test_a_bind_may_give_a_request_to_a_project(cloud: Cloud) -> None:
    cloud.host("host-1", builders.gpu())
    uuids = cloud.request(project="p1")
    instance = cloud.bind(uuids, project="p2")
    found = cloud.get(uuids[0])
    assert found is not None
    assert found.project_id == "p2"
    cloud.bind(uuids, instance=instance)
    with pytest.raises(errors.WrongState):
        cloud.bind(uuids, instance=instance, project="p3")
