# SPDX-License-Identifier: Apache-2.0
"""Closing devices and hosts, and what it would do."""

import dataclasses

import pytest

from cyborg.domain import choice, errors, inventory, profile, reconcile, status, view
from cyborg.tests import builders

ANY = profile.Group(resources={"CUSTOM_ACCELERATOR": 1})


@pytest.fixture
def host() -> inventory.Host:
    """Two GPUs and an FPGA, of which the first GPU is held."""
    empty = inventory.Host(id=1, name="h", provider_uuid="p")
    seen = builders.host("h", [builders.gpu("0000:3b:00.0"), builders.gpu("0000:3c:00.0"), builders.fpga()])
    full = reconcile.plan(empty, seen)
    held = full.devices[0].deployables[0].accelerators[0].uuid
    return full.map_accelerators(lambda unit: dataclasses.replace(unit, holder="arq") if unit.uuid == held else unit)


def test_closing_one_device_leaves_the_others_open(host: inventory.Host) -> None:
    after = status.with_device(host, host.devices[1].uuid, inventory.DeviceStatus.MAINTAINING)
    assert [device.status for device in after.devices] == ["enabled", "maintaining", "enabled"]


def test_an_unknown_device_is_not_found(host: inventory.Host) -> None:
    with pytest.raises(errors.NotFound, match="nothing"):
        status.with_device(host, "nothing", inventory.DeviceStatus.ENABLED)


def test_the_effect_counts_the_accelerators_of_that_device(host: inventory.Host) -> None:
    free = host.devices[1].uuid
    found = status.effect(host, status.with_device(host, free, inventory.DeviceStatus.MAINTAINING), free)
    assert (found.before["free"], found.after["free"], found.after["disabled"], found.holders) == (1, 0, 1, 0)
    assert found.refusal is None


def test_closing_what_is_held_is_refused_unless_it_may_drain(host: inventory.Host) -> None:
    held = host.devices[0].uuid
    closed = status.with_device(host, held, inventory.DeviceStatus.MAINTAINING)
    assert "1 of its accelerators are held" in str(status.effect(host, closed, held).refusal)
    assert status.effect(closed, host, held).refusal is None


def test_a_closed_host_gives_out_nothing_and_shows_nothing(host: inventory.Host) -> None:
    closed = dataclasses.replace(host, status=inventory.HostStatus.DISABLED)
    with pytest.raises(errors.NoAccelerator, match="2 disabled, 1 held"):
        choice.claim(closed, [choice.Want(arq_uuid="new", group=ANY)])
    (provider,) = view.view(closed).providers
    assert provider.traits == frozenset()
    assert provider.inventories["CUSTOM_ACCELERATOR"] == view.Amount(total=3, reserved=2)
    assert view.advance(host, closed).generation == host.generation + 1


def test_devices_of_a_closed_host_keep_their_own_status(host: inventory.Host) -> None:
    closed = dataclasses.replace(host, status=inventory.HostStatus.DISABLED)
    assert {device.status for device in closed.devices} == {inventory.DeviceStatus.ENABLED}
    assert {device.status for device, _, _ in closed.units()} == {inventory.DeviceStatus.MAINTAINING}
