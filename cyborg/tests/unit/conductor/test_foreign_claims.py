# SPDX-License-Identifier: Apache-2.0
"""Flavors that name the class without a profile: Cyborg is never asked, and Placement counts them by itself."""

import pytest
from oslo_config import cfg

from cyborg.domain import inventory
from cyborg.tests.placement_fixture import PlacementFixture
from cyborg.tests.unit.conductor.conftest import NOVA, Cloud
from cyborg.tests.unit.conductor.test_reshaping import CLASS, HOST, Site


@pytest.fixture
def site(cloud: Cloud, placement: PlacementFixture, conf: cfg.ConfigOpts) -> Site:
    """Two GPUs and an FPGA on one provider."""
    site = Site(cloud, placement, conf, placement.create_provider(HOST, inventories={"VCPU": {"total": 8}}))
    site.agent_round()
    return site


def free(site: Site) -> int:
    return sum(device.state(unit) is inventory.AcceleratorState.FREE for device, _, unit in site.host().units())


def test_units_that_others_hold_are_not_offered_again(site: Site) -> None:
    consumer = site.claim(site.root, 3)
    site.agent_round()
    assert free(site) == 3, "nobody took a card"
    assert site.placement.traits(site.root) >= {"CUSTOM_GPU", "CUSTOM_FPGA"}, "the traits promise more than is left"
    assert site.offered("CUSTOM_GPU") == site.offered() == set(), "and nothing is scheduled on them"
    site.placement.release(consumer)
    assert site.offered("CUSTOM_GPU") == {site.root}


def test_whoever_passed_scheduling_beside_them_finds_a_card(site: Site) -> None:
    site.claim(site.root, 1)
    booted = 0
    for trait in ("CUSTOM_GPU", "CUSTOM_FPGA", "CUSTOM_GPU"):
        if site.offered(trait):
            site.boot(trait)
            booted += 1
        site.agent_round()
    assert (booted, free(site)) == (2, 1), "the unit of the other consumer keeps one card idle, whichever it is"


def test_a_card_that_is_switched_off_stays_off_whoever_holds_a_unit(site: Site) -> None:
    consumer = site.claim(site.root, 3)
    site.cloud.client.set_host_status(NOVA, HOST, inventory.HostStatus.DISABLED)
    site.agent_round()
    site.placement.release(consumer)
    assert site.offered() == set()


def test_a_server_that_allocated_twice_gets_one_card(site: Site) -> None:
    server = site.claim(site.root, 2)
    site.bind(server, "CUSTOM_GPU", provider=site.root)
    site.agent_round()
    assert free(site) == 2
    assert site.placement.usages(site.root)[CLASS] == 2
    site.boot("CUSTOM_GPU")
    site.agent_round()
    assert site.offered() == set()
