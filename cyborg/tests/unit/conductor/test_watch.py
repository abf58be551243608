# SPDX-License-Identifier: Apache-2.0
"""A host whose agent is silent gives out nothing new, in the books and in Placement, until the agent speaks again."""

import datetime
import logging
import queue
import time
import uuid
from pathlib import Path

import pytest
from oslo_config import cfg
from sqlalchemy import update

from cyborg.conductor.announcer import Announcer
from cyborg.conductor.notices import Notices
from cyborg.conductor.recurring import Recurring
from cyborg.conductor.watch import Watch
from cyborg.conf import new_config
from cyborg.domain import errors, view
from cyborg.domain.shape import Layout
from cyborg.placement.mover import Mover
from cyborg.rpc import agent
from cyborg.rpc.notifications import Notifier
from cyborg.store import models, operations
from cyborg.tests import builders
from cyborg.tests.placement_fixture import PlacementFixture, Request
from cyborg.tests.unit.conductor.conftest import Cloud
from cyborg.tests.unit.conductor.test_auditing import found, gpu_carrier, kinds
from cyborg.tests.unit.conductor.test_reshaping import CLASS, HOST, Site


@pytest.fixture
def conf(placement: PlacementFixture, tmp_path: Path) -> cfg.ConfigOpts:
    conf = new_config()
    conf([], default_config_files=[])
    placement.configure(conf)
    conf.set_override("nova_provider_config", str(tmp_path / "cyborg.yaml"), group="placement")
    return conf


@pytest.fixture(params=list(Layout))
def site(request: pytest.FixtureRequest, cloud: Cloud, placement: PlacementFixture, conf: cfg.ConfigOpts) -> Site:
    site = Site(cloud, placement, conf, placement.create_provider(HOST, inventories={"VCPU": {"total": 8}}))
    site.reshape(request.param)
    site.agent_round(request.param)
    return site


class Views(agent.AgentClient):
    """Keeps the views that agents would get."""

    def __init__(self) -> None:
        self.views: queue.Queue[view.HostView] = queue.Queue()

    def publish(self, wanted: view.HostView) -> None:
        self.views.put(wanted)


def notices(site: Site) -> Notices:
    return Notices(site.cloud.store, Notifier(site.conf, "conductor"))


def watch(site: Site, *, views: Views | None = None, reaches_placement: bool = True) -> Recurring:
    mover = (lambda: Mover(site.client)) if reaches_placement else None
    made = Watch(site.conf, site.cloud.store, Announcer(views or Views()), mover, notices(site))
    made._listening_since = time.monotonic() - 3600
    return Recurring("tested_watch", 0, site.cloud.store, made.run)


def silence(site: Site, *names: str) -> None:
    then = operations.now() - datetime.timedelta(hours=1)
    with site.cloud.store.transaction() as tx:
        tx.execute(update(models.Host).where(models.Host.name.in_(names or (HOST,))).values(seen_at=then))


def test_a_bind_on_a_host_that_is_down_is_refused_at_once_with_the_reason(site: Site) -> None:
    silence(site)
    with pytest.raises(errors.Conflict, match=r"Host compute-1 is down: its cyborg-agent was last heard of 1:00:00"):
        site.boot("CUSTOM_GPU", provider=gpu_carrier(site))
    assert not [unit for _, _, unit in site.host().units() if unit.holder]


def test_what_is_free_on_a_host_that_is_down_is_off_the_market_until_its_agent_speaks(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cyborg")
    server = site.boot("CUSTOM_GPU", provider=gpu_carrier(site))
    site.agent_round()
    before = site.offered()
    assert before
    silence(site)
    watching = watch(site)
    watching.run_once()
    assert site.offered() == set()
    assert site.offered("CUSTOM_FPGA") == set()
    assert site.allocations(server), "who holds something keeps it"
    assert site.host().down_since
    assert kinds(found(site)) == {"host_down"}, "an audit knows why"
    site.placement.log.clear()
    watching.run_once()
    assert site.placement.log == [], "once is enough"
    site.agent_round()
    assert site.host().down_since is None
    assert site.offered() == before
    said = [one.getMessage() for one in caplog.records if f"Host {HOST} is " in one.getMessage()]
    assert [line.partition(":")[0] for line in said] == [f"Host {HOST} is down", f"Host {HOST} is up again"]


def test_an_agent_that_speaks_while_its_host_is_being_closed_opens_it_again_at_once(site: Site) -> None:
    silence(site)
    views = Views()

    def speak(request: Request) -> None:
        if not request.is_read:
            site.placement.before = lambda _request: None
            site.cloud.client.sync(HOST, site.root, {"fake_driver": ""}, -1)

    generation = site.host().generation
    site.placement.before = speak
    watch(site, views=views).run_once()
    assert site.host().down_since is None
    assert site.offered() == set(), "closed by the last words of the watch"
    again = views.views.get_nowait()
    assert again.generation > generation
    site.publisher.publish(again)
    assert site.offered()


def test_placement_being_away_is_no_reason_to_forget_a_host(site: Site) -> None:
    silence(site)
    site.placement.answer_with = "503 Busy"
    with pytest.raises(errors.Unavailable):
        watch(site).run_once()
    assert site.host().down_since is None
    site.placement.answer_with = None
    watch(site).run_once()
    assert site.host().down_since
    assert site.offered() == set()


def test_without_placement_the_host_is_marked_and_an_audit_closes_it(site: Site) -> None:
    silence(site)
    watch(site, reaches_placement=False).run_once()
    assert site.host().down_since
    assert site.offered()
    assert kinds(found(site)) == {"host_down", "inventory_differs"}
    found(site, repair=True)
    assert site.offered() == set()
    assert kinds(found(site)) == {"host_down"}


def test_a_conductor_that_has_just_started_takes_nobody_for_down(site: Site) -> None:
    silence(site)
    fresh = Watch(site.conf, site.cloud.store, Announcer(Views()), lambda: Mover(site.client), notices(site))
    Recurring("tested_watch", 0, site.cloud.store, fresh.run).run_once()
    assert site.host().down_since is None
    assert site.offered()


def test_when_nobody_at_all_is_heard_it_is_the_messages_and_not_the_hosts(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    others = [f"other-{number}" for number in range(4)]
    for name in others:
        site.cloud.host(name, builders.gpu(), provider=str(uuid.uuid4()))
    silence(site, HOST, *others)
    watching = watch(site)
    watching.run_once()
    watching.run_once()
    assert site.host().down_since is None
    assert len([one for one in caplog.records if "No agent at all" in one.getMessage()]) == 1
    site.agent_round()
    silence(site, HOST, *others[1:])
    site.cloud.client.sync(others[0], None, {}, -1)
    watching.run_once()
    assert site.host().down_since


def test_a_held_unit_is_still_shown_as_held_by_the_view_of_a_host_that_is_down(site: Site) -> None:
    site.boot("CUSTOM_GPU", provider=gpu_carrier(site))
    silence(site)
    watch(site).run_once()
    usable = sum(
        amount.usable
        for provider in view.view(site.host()).providers
        for name, amount in provider.inventories.items()
        if name == CLASS
    )
    assert usable == 1
