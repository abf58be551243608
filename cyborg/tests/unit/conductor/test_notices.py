# SPDX-License-Identifier: Apache-2.0
"""What becomes of devices and hosts is told of, once it is in the books and never only before."""

import dataclasses
import datetime
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg
from oslo_messaging.notify import _impl_test
from sqlalchemy import func, select, update

from cyborg import conf as configuration
from cyborg.clients import nova
from cyborg.conductor.announcer import Announcer
from cyborg.conductor.notices import NOTIFY, Notices
from cyborg.conductor.operations import Task
from cyborg.conductor.recurring import Recurring
from cyborg.conductor.service import Conductor
from cyborg.conductor.watch import Watch
from cyborg.domain import errors, inventory, report
from cyborg.domain.report import Health
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.rpc.notifications import Notice, Notifier, Priority
from cyborg.store import hosts, models, operations, schema
from cyborg.store.engine import Store
from cyborg.tests import builders
from cyborg.tests.unit.conductor.conftest import NOVA, PROVIDER, Cloud, KeptViews
from cyborg.tests.unit.conductor.test_watch import Views

HOST = "host-1"
GROUP = "oslo_messaging_notifications"
OK, FAILED, DEGRADED = Health.OK, Health.FAILED, Health.DEGRADED


def make_conf(*drivers: str) -> cfg.ConfigOpts:
    conf = configuration.new_config()
    conf([], default_config_files=[])
    conf.set_override("transport_url", "fake://")
    conf.set_override("control_exchange", f"test-{uuid.uuid4()}")
    conf.set_override("operation_interval", 1, "conductor")
    conf.set_override("driver", list(drivers), GROUP)
    return conf


@pytest.fixture(scope="module")
def conducted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    conf = make_conf("test")
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('notices')}/cyborg.db")
    schema.upgrade(store)
    transport, events = messaging.get_transport(conf), nova.FakeNova()
    conductor = Conductor(conf, store, transport, events)
    conductor.start()
    yield Cloud(store, ConductorClient(conf, transport), events, KeptViews())
    conductor.stop()
    store.dispose()


@pytest.fixture
def told(conducted: Cloud) -> Cloud:
    """A conductor that tells, with nothing in its books."""
    conducted.settle()
    with conducted.store.transaction() as tx:
        for table in reversed(models.Base.metadata.sorted_tables):
            tx.execute(table.delete())
    _impl_test.reset()
    return conducted


def notifications(cloud: Cloud, count: int) -> list[dict[str, Any]]:
    """So many, in the order in which they happened, and not more."""
    cloud.settle()
    assert len(_impl_test.NOTIFICATIONS) == count
    found = [message for _, message, _, _ in _impl_test.NOTIFICATIONS]
    _impl_test.reset()
    return sorted(found, key=lambda message: str(message["payload"]["happened_at"]))


def cards(*looks: Health, reasons: Sequence[str] = ("fatal_errors",)) -> report.DeviceReport:
    devices = [
        dataclasses.replace(
            builders.gpu(f"0000:{0x3B + number:02x}:00.0"),
            health=look,
            health_reasons=tuple(reasons) if look is not OK else (),
        )
        for number, look in enumerate(looks)
    ]
    return report.DeviceReport(host=HOST, driver="fake_driver", devices=tuple(devices))


def look(cloud: Cloud, *looks: Health) -> bool:
    """A round of an agent that sees this; whether the whole report was asked for."""
    seen = cards(*looks)
    answer = cloud.client.sync(HOST, PROVIDER, {"fake_driver": seen.digest}, -1)
    if answer.stale:
        cloud.client.report(seen, answer.sequences["fake_driver"])
    return bool(answer.stale)


def traits(cloud: Cloud) -> frozenset[str]:
    """What Placement is to show."""
    wanted = cloud.client.sync(HOST, PROVIDER, {"fake_driver": ""}, -1).view
    assert wanted is not None
    return wanted.providers[0].traits


def stored(cloud: Cloud) -> inventory.Host:
    with cloud.store.transaction() as tx:
        found = hosts.load(tx, HOST)
    assert found is not None
    return found


def told_of(cloud: Cloud, work: Callable[[], object], count: int = 1) -> list[tuple[str, str, str | None, str]]:
    """Of each notification: event, priority, health before, health."""
    work()
    return [
        (one["event_type"], one["priority"], payload.get("health_before"), payload["device"]["health"])
        for one in notifications(cloud, count)
        for payload in [one["payload"]]
    ]


def test_a_card_that_fails_and_recovers_is_told_of_twice_and_shown_to_placement(told: Cloud) -> None:
    assert told_of(told, lambda: look(told, OK)) == [("device.added", "INFO", None, "ok")]
    assert told_of(told, lambda: look(told, FAILED)) == [("device.health.changed", "WARN", "ok", "failed")]
    assert traits(told) == frozenset()
    assert [look(told, OK), look(told, OK)] == [True, True]
    assert (stored(told).devices[0].health, stored(told).devices[0].health_reasons) == (FAILED, ("probation",))
    assert told_of(told, lambda: look(told, OK)) == [("device.health.changed", "INFO", "failed", "ok")]
    assert traits(told) == builders.GPU_TRAITS
    assert not look(told, OK)


def test_a_notification_says_of_what_it_tells(told: Cloud) -> None:
    look(told, OK)
    look(told, FAILED)
    _, changed = notifications(told, 2)
    payload = changed["payload"]
    moment = datetime.datetime.fromisoformat(payload.pop("happened_at"))
    assert datetime.datetime.now(datetime.UTC) - moment < datetime.timedelta(minutes=5)
    assert payload == {
        "version": "1.0",
        "host": HOST,
        "health_before": "ok",
        "device": {
            "uuid": stored(told).devices[0].uuid,
            "driver": "fake_driver",
            "address": "0000:3b:00.0",
            "serial": "SN-0000:3b:00.0",
            "type": "GPU",
            "vendor": "10de",
            "model": "20f1",
            "status": "enabled",
            "health": "failed",
            "health_reasons": ["fatal_errors"],
            "accelerators": 1,
            "held": 0,
        },
    }
    assert changed["publisher_id"].startswith("conductor.")


def test_a_card_that_wavers_is_told_of_once(told: Cloud) -> None:
    look(told, OK, OK)
    notifications(told, 2)
    wavering = [(OK, DEGRADED), (OK, OK)] * 5
    assert told_of(told, lambda: [look(told, *looks) for looks in wavering]) == [
        ("device.health.changed", "WARN", "ok", "degraded")
    ]


def test_a_card_that_fails_too_often_is_told_of_until_an_operator_enables_it(told: Cloud) -> None:
    look(told, OK)
    for _ in range(2):
        look(told, FAILED)
        look(told, OK)
    notifications(told, 2)
    assert told_of(told, lambda: look(told, FAILED)) == [("device.health.changed", "WARN", "failed", "failed")]
    for _ in range(5):
        look(told, OK)
    locked = stored(told).devices[0]
    assert (locked.health, locked.health_reasons) == (FAILED, ("failed_too_often",))
    assert not look(told, OK)
    enable = inventory.DeviceStatus.ENABLED
    effect = told.client.set_device_status(NOVA, locked.uuid, enable, dry_run=True)
    assert (effect.before["failed"], effect.after["free"]) == (1, 1)
    assert told_of(told, lambda: told.client.set_device_status(NOVA, locked.uuid, enable)) == [
        ("device.health.changed", "INFO", "failed", "ok")
    ]
    assert stored(told).devices[0].health_history is None
    assert not look(told, OK)


def test_cards_that_come_and_go_are_told_of(told: Cloud) -> None:
    look(told, OK, OK)
    uuids = told.request()
    told.bind(uuids)
    told.events.reset()
    notifications(told, 2)
    events = told_of(told, lambda: [look(told) for _ in range(5)], count=2)
    assert sorted(event for event, *_ in events) == ["device.missing", "device.retired"]
    assert {event[0] for event in told_of(told, lambda: look(told, OK, OK), count=2)} == {
        "device.returned",
        "device.added",
    }


def test_a_host_that_comes_back_is_told_of(told: Cloud) -> None:
    look(told, OK)
    notifications(told, 1)
    with told.store.transaction() as tx:
        tx.execute(update(models.Host).values(down_since=datetime.datetime.now(datetime.UTC)))
    look(told, OK)
    (up,) = notifications(told, 1)
    assert (up["event_type"], up["payload"]["host"]) == ("host.up", HOST)


def test_a_host_that_falls_silent_is_told_of(told: Cloud) -> None:
    look(told, OK)
    notifications(told, 1)
    with told.store.transaction() as tx:
        tx.execute(update(models.Host).values(seen_at=operations.now() - datetime.timedelta(hours=1)))
    conf = make_conf("test")
    watch = Watch(conf, told.store, Announcer(Views()), None, Notices(told.store, Notifier(conf, "conductor")))
    watch._listening_since = time.monotonic() - 3600
    Recurring("tested_watch", 0, told.store, watch.run).run_once()
    (down,) = notifications(told, 1)
    assert (down["event_type"], down["priority"], down["payload"]["host"]) == ("host.down", "WARN", HOST)


def rows(cloud: Cloud) -> int:
    with cloud.store.reading() as tx:
        return tx.execute(select(func.count()).where(models.Operation.kind == NOTIFY)).scalar_one()


def test_while_notifications_are_off_no_row_is_written(cloud: Cloud) -> None:
    notices = Notices(cloud.store, Notifier(make_conf(), "conductor"))
    with cloud.store.transaction() as tx:
        notices.host_down(tx, HOST)
        notices.of_devices(tx, inventory.Host(name=HOST), inventory.Host(name=HOST))
    assert rows(cloud) == 0


def test_what_was_not_stored_is_not_told_of(told: Cloud) -> None:
    look(told, OK)
    notifications(told, 1)
    notices = Notices(told.store, Notifier(make_conf("test"), "conductor"))

    def fail_before_the_commit() -> None:
        with told.store.transaction() as tx:
            notices.host_down(tx, HOST)
            raise errors.Conflict("Somebody was faster.")

    with pytest.raises(errors.Conflict):
        fail_before_the_commit()
    assert rows(told) == 0


def test_a_notification_that_cannot_be_sent_stays_until_it_can(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/cyborg.db")
    schema.upgrade(store)
    deaf = make_conf("messagingv2")
    deaf.set_override("transport_url", "rabbit://nobody:nobody@127.0.0.1:1/", GROUP)
    notices = Notices(store, Notifier(deaf, "conductor"))
    with store.transaction() as tx:
        notices.host_down(tx, HOST)
        (row,) = operations.take_due(tx, owner="me", lease_until=operations.now())
    with pytest.raises(errors.Unavailable, match="No message broker answers"):
        notices.send(Task(row, "me"))
    with store.reading() as tx:
        assert tx.execute(select(models.Operation.uuid)).scalar_one() == row.uuid
    _impl_test.reset()
    Notices(store, Notifier(make_conf("test"), "conductor")).send(Task(row, "me"))
    assert [message["event_type"] for _, message, _, _ in _impl_test.NOTIFICATIONS] == ["host.down"]
    with store.reading() as tx:
        assert tx.execute(select(models.Operation.uuid)).first() is None
    store.dispose()


def test_a_message_that_the_library_drops_without_a_word_is_a_failure() -> None:
    """What cannot be written as JSON fails inside of oslo.messaging, which only logs it."""
    notifier = Notifier(make_conf("messagingv2"), "conductor")
    with pytest.raises(errors.Unavailable, match="does not take notifications"):
        notifier.send(Notice(event_type="x", priority=Priority.INFO, payload={"x": object()}))
    notifier.send(Notice(event_type="x", priority=Priority.INFO, payload={"x": 1}))
