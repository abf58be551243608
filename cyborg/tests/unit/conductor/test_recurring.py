# SPDX-License-Identifier: Apache-2.0
"""What recurs is done by one conductor at a time, whoever dies; what it does: expiry of requests, rounds of audits."""

import datetime
import logging
from collections.abc import Iterator

import pytest
from oslo_config import cfg
from sqlalchemy import text, update

from cyborg.conductor import service
from cyborg.conductor.announcer import Announcer
from cyborg.conductor.audit_rounds import AuditRounds
from cyborg.conductor.expiry import BATCH, Expiry
from cyborg.conductor.notices import Notices
from cyborg.conductor.recurring import Notes, Recurring, Turn
from cyborg.conf import new_config
from cyborg.domain import errors
from cyborg.rpc import agent, messaging
from cyborg.rpc.notifications import Notifier
from cyborg.store import models, operations
from cyborg.tests.placement_fixture import PlacementFixture
from cyborg.tests.unit.conductor.conftest import NOVA, Cloud
from cyborg.tests.unit.conductor.test_reshaping import CARDS, HOST, Site


@pytest.fixture
def conf() -> cfg.ConfigOpts:
    conf = new_config()
    conf([], default_config_files=[])
    return conf


@pytest.fixture
def placement(conf: cfg.ConfigOpts) -> Iterator[PlacementFixture]:
    with PlacementFixture() as fixture:
        fixture.configure(conf)
        yield fixture


class Work:
    def __init__(self) -> None:
        self.notes: list[Notes] = []
        self.lost = False

    def __call__(self, turn: Turn) -> Notes:
        self.notes.append(turn.notes)
        self.lost = not turn.goes_on()
        return {"number": len(self.notes)}


def of(cloud: Cloud, work: Work, interval: float = 0) -> Recurring:
    return Recurring("tested", interval, cloud.store, work)


def test_a_turn_is_taken_by_one_and_the_next_one_gets_its_notes(cloud: Cloud) -> None:
    mine, other = Work(), Work()
    assert of(cloud, mine).run_once()
    assert of(cloud, other).run_once()
    assert (mine.notes, other.notes) == ([{}], [{"number": 1}])
    assert not mine.lost


def test_a_turn_that_is_not_due_is_not_taken(cloud: Cloud) -> None:
    work = Work()
    assert of(cloud, work, 3600).run_once()
    assert not of(cloud, work, 3600).run_once()
    assert len(work.notes) == 1


def test_a_turn_in_hand_is_nobody_elses_and_one_whose_owner_died_is(cloud: Cloud) -> None:
    moment = operations.now()
    until = moment + datetime.timedelta(seconds=30)
    with cloud.store.transaction() as tx:
        held = operations.take_turn(tx, "tested", owner="me", lease_until=until)
    assert held is not None
    assert not of(cloud, Work()).run_once()
    with cloud.store.transaction() as tx:
        later = until + datetime.timedelta(seconds=1)
        taken = operations.take_turn(tx, "tested", owner="other", lease_until=later, moment=later)
        assert taken is not None
        assert not operations.keep_turn(tx, held, owner="me", lease_until=later)
        assert not operations.end_turn(tx, held, owner="me", next_at=later, payload={})


def test_a_turn_is_no_operation(cloud: Cloud) -> None:
    assert of(cloud, Work()).run_once()
    with cloud.store.transaction() as tx:
        assert operations.take_due(tx, owner="me", lease_until=operations.now()) == []
        assert operations.late(tx, operations.now() + datetime.timedelta(days=1)) == []


def test_work_that_fails_keeps_its_notes_and_is_tried_again_before_long(cloud: Cloud) -> None:
    def fail(turn: Turn) -> Notes:
        raise errors.Unavailable("away")

    work = Work()
    assert of(cloud, work).run_once()
    with pytest.raises(errors.Unavailable):
        Recurring("tested", 0, cloud.store, fail).run_once()
    assert of(cloud, work).run_once()
    assert work.notes == [{}, {"number": 1}]


def old(cloud: Cloud, uuids: list[str], **age: float) -> None:
    then = operations.now() - datetime.timedelta(**age)
    with cloud.store.transaction() as tx:
        tx.execute(update(models.Arq).where(models.Arq.uuid.in_(uuids)).values(created_at=then))


def test_requests_that_were_never_bound_expire(cloud: Cloud, conf: cfg.ConfigOpts) -> None:
    cloud.host("host-1", *CARDS)
    forgotten, bound, unbound = (cloud.request("CUSTOM_GPU")[0] for _ in range(3))
    (new,) = cloud.request()
    cloud.bind([bound])
    cloud.bind([unbound])
    cloud.client.unbind(NOVA, [unbound])
    old(cloud, [forgotten, bound, unbound], days=2)
    assert Recurring("tested_expiry", 0, cloud.store, Expiry(conf, cloud.store).run).run_once()
    assert cloud.get(forgotten) is None
    assert cloud.get(bound)
    assert cloud.get(new)
    assert cloud.get(unbound), "it was unbound just now"


def test_any_number_expires_in_batches(cloud: Cloud, conf: cfg.ConfigOpts, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cyborg")
    uuids = cloud.request(count=2 * BATCH + 1)
    old(cloud, uuids, days=2)
    Recurring("tested_expiry", 0, cloud.store, Expiry(conf, cloud.store).run).run_once()
    assert f"{2 * BATCH + 1} accelerator request(s)" in caplog.text
    assert not any(cloud.get(one) for one in (uuids[0], uuids[-1]))


def test_an_index_leads_to_the_requests_that_may_expire(cloud: Cloud) -> None:
    statement = (
        "EXPLAIN QUERY PLAN SELECT id FROM arqs WHERE state IN ('Initial', 'Unbound') "
        "AND coalesce(unbound_at, created_at) < '2020-01-01' ORDER BY id LIMIT 200"
    )
    with cloud.store.reading() as tx:
        plan = " ".join(str(row) for row in tx.execute(text(statement)))
    assert "USING INDEX ix_arqs_state_id" in plan


def test_a_round_of_audits_says_something_when_its_outcome_changed(
    cloud: Cloud,
    conf: cfg.ConfigOpts,
    placement: PlacementFixture,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cyborg.conductor.auditing.time.sleep", lambda _seconds: None)
    root = placement.create_provider(HOST, inventories={"VCPU": {"total": 8}})
    site = Site(cloud, placement, conf, root)
    site.agent_round()
    caplog.set_level(logging.INFO, "cyborg.conductor.audit_rounds")
    rounds = Recurring("audit", 0, cloud.store, AuditRounds(conf, cloud.store).run)
    for wiped in (False, True, True, False, False):
        if wiped:
            placement.put_traits(root, [])
        else:
            site.agent_round()
        rounds.run_once()
    said = [one.getMessage() for one in caplog.records if one.name == "cyborg.conductor.audit_rounds"]
    assert said == [
        "Audit: 6 trait_missing. 'cyborg-manage audit' tells where and why.",
        "Audit: no differences any more",
    ]


def test_without_credentials_for_placement_there_are_no_audits_and_one_line_says_so(
    cloud: Cloud, conf: cfg.ConfigOpts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cyborg")
    conf.set_override("transport_url", "fake://")
    announcing = Announcer(agent.AgentClient(conf, messaging.get_transport(conf)))
    notices = Notices(cloud.store, Notifier(conf, "conductor"))
    work = service.recurring_work(conf, cloud.store, announcing, notices)
    assert [one.name for one in work] == ["host_watch", "operation_retention", "arq_expiry"]
    assert len([one for one in caplog.records if "No credentials in [placement]" in one.getMessage()]) == 1
    conf.set_override("auth_type", "admin_token", group="placement")
    conf.set_override("arq_expiry", 0, group="conductor")
    work = service.recurring_work(conf, cloud.store, announcing, notices)
    assert [one.name for one in work] == ["host_watch", "operation_retention", "audit"]
    conf.set_override("audit_interval", 0, group="conductor")
    assert [one.name for one in service.recurring_work(conf, cloud.store, announcing, notices)] == [
        "host_watch",
        "operation_retention",
    ]
