# SPDX-License-Identifier: Apache-2.0
"""Agents of another release: what they do not say takes its default, what they say that is new here is passed over."""

from typing import Any

import pytest

from cyborg.domain import errors, inventory, report, wire
from cyborg.domain.shape import DEFAULT_SHAPE
from cyborg.rpc.conductor import SyncAnswer
from cyborg.store import hosts
from cyborg.tests import builders
from cyborg.tests.unit.conductor.conftest import NOVA, PROVIDER, Cloud

HOST = "host-1"
#: All that a report of the first form must have.
OLD_DEVICE = {
    "address": "0000:3b:00.0",
    "type": "GPU",
    "vendor": "10de",
    "model": "20f1",
    "deployables": [
        {
            "resource_class": "PGPU",
            "accelerators": [{"key": "pf", "type": "PCI", "info": {"domain": "0000", "bus": "3b"}}],
        }
    ],
}


def call(cloud: Cloud, method: str, **arguments: Any) -> Any:
    """As it comes over the wire, whatever the client of this release would send."""
    return cloud.client._client.call(NOVA, method, **arguments)


def stored(cloud: Cloud) -> inventory.Host:
    with cloud.store.transaction() as tx:
        found = hosts.load(tx, HOST)
    assert found is not None
    return found


def test_an_older_agent_that_speaks_of_no_layout_is_served_in_the_default_one(cloud: Cloud) -> None:
    said = {"host": HOST, "provider_uuid": PROVIDER, "digests": {"fake_driver": "new"}, "generation": -1}
    answer = wire.from_wire(SyncAnswer, call(cloud, "sync", **said))
    assert answer.stale == ("fake_driver",)
    assert stored(cloud).shape == DEFAULT_SHAPE


def test_what_an_older_report_does_not_say_takes_its_default(cloud: Cloud) -> None:
    call(cloud, "report", seen={"host": HOST, "driver": "fake_driver", "devices": [OLD_DEVICE]})
    (device,) = stored(cloud).devices
    assert (device.health, device.serial, device.numa_node) == (report.Health.OK, None, None)
    assert device.capabilities == frozenset(), "nothing is asked of a driver that does not say that it can"
    assert [unit.key for _, unit in device.accelerators()] == ["pf"]


def test_what_a_newer_report_says_besides_is_passed_over(cloud: Cloud) -> None:
    seen = wire.to_wire(builders.host(HOST, [builders.gpu()]))
    call(cloud, "report", seen=seen)
    before = stored(cloud)
    seen["of_a_newer_release"] = seen["devices"][0]["of_a_newer_release"] = {"any": [1]}
    call(cloud, "report", seen=seen)
    assert stored(cloud) == before


@pytest.mark.parametrize("member", sorted(OLD_DEVICE))
def test_a_report_without_what_every_one_has_is_refused_and_changes_nothing(cloud: Cloud, member: str) -> None:
    call(cloud, "report", seen={"host": HOST, "driver": "fake_driver", "devices": [OLD_DEVICE]})
    before = stored(cloud)
    broken = {name: value for name, value in OLD_DEVICE.items() if name != member}
    with pytest.raises(errors.InvalidRequest):
        call(cloud, "report", seen={"host": HOST, "driver": "fake_driver", "devices": [broken]})
    assert stored(cloud) == before
