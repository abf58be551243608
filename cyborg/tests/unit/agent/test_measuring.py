# SPDX-License-Identifier: Apache-2.0
"""What cards measure goes out as one notification a round, and nowhere else."""

import logging
import math
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg
from oslo_messaging.notify import _impl_test

from cyborg.agent.measuring import Measuring
from cyborg.conf import new_config
from cyborg.drivers.host import Host
from cyborg.drivers.loader import LoadedDriver
from cyborg.rpc.notifications import Notifier
from cyborg.tests.unit.agent.conftest import HOST, SettableDriver
from cyborg.tests.unit.drivers import builders

GROUP = "oslo_messaging_notifications"
CARD = "0000:3b:00.0"


@pytest.fixture(autouse=True)
def nothing_told() -> Iterator[None]:
    _impl_test.reset()
    yield
    _impl_test.reset()


@pytest.fixture
def conf() -> cfg.ConfigOpts:
    conf = new_config()
    conf([], default_config_files=[])
    conf.set_override("transport_url", "fake://")
    conf.set_override("control_exchange", f"test-{uuid.uuid4()}")
    conf.set_override("driver", ["test"], GROUP)
    conf.set_override("measure_interval", 60, "agent")
    return conf


class Measured(SettableDriver):
    """``answer`` is asked for the values of each round."""

    def __init__(self, answer: Callable[[], Mapping[str, Mapping[str, float]]]) -> None:
        super().__init__()
        self._answer = answer

    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        return self._answer()


def measuring(conf: cfg.ConfigOpts, host: Host, **drivers: Any) -> Measuring:
    loaded = [LoadedDriver(name=name, driver=driver) for name, driver in drivers.items()]
    return Measuring(conf, HOST, loaded, host, Notifier(conf, "agent", HOST))


def told() -> list[dict[str, Any]]:
    return [message for _, message, _, _ in _impl_test.NOTIFICATIONS]


def test_a_round_is_one_notification_with_the_values_of_every_card(conf: cfg.ConfigOpts, tmp_path: Path) -> None:
    one = Measured(lambda: {CARD: {"temp_c": 48.0, "power_w": 70.5}, "0000:5e:00.0": {}})
    other = Measured(lambda: {"0000:86:00.0": {"temp_c": 31}})
    measuring(conf, Host(sysfs=tmp_path), one=one, other=other, mute=SettableDriver()).run_once()
    (message,) = told()
    assert (message["event_type"], message["priority"]) == ("accelerator.measures", "INFO")
    assert message["publisher_id"] == f"agent.{HOST}"
    payload = message["payload"]
    assert (payload["version"], payload["host"]) == ("1.0", HOST)
    assert payload["devices"] == [
        {"driver": "one", "address": CARD, "sensors": {"temp_c": 48.0, "power_w": 70.5}},
        {"driver": "other", "address": "0000:86:00.0", "sensors": {"temp_c": 31.0}},
    ]


def test_a_driver_that_fails_or_hangs_or_talks_nonsense_takes_only_its_own_values_away(
    conf: cfg.ConfigOpts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    conf.set_override("driver_timeout", 1, "agent")
    let_go = threading.Event()

    def hang() -> Mapping[str, Mapping[str, float]]:
        let_go.wait(30)
        return {}

    rounds = measuring(
        conf,
        Host(sysfs=tmp_path),
        hangs=Measured(hang),
        raises=Measured(lambda: {CARD: {"temp_c": 1 / 0}}),
        rambles=Measured(lambda: {CARD: {"temp_c": "hot"}}),  # type: ignore[dict-item]
        infinite=Measured(lambda: {CARD: {"temp_c": math.inf, "power_w": 5.0}}),
        works=Measured(lambda: {CARD: {"temp_c": 20.0}}),
    )
    for _ in range(2):
        rounds.run_once()
    let_go.set()
    sensors = [[one["sensors"] for one in message["payload"]["devices"]] for message in told()]
    assert sensors == [[{"power_w": 5.0}, {"temp_c": 20.0}]] * 2
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [line.partition(",")[0] for line in said if "cannot measure its cards" in line] == [
        f"Driver {name} cannot measure its cards" for name in ("hangs", "raises", "rambles")
    ]


def test_a_round_that_measured_nothing_tells_nothing(conf: cfg.ConfigOpts, tmp_path: Path) -> None:
    measuring(conf, Host(sysfs=tmp_path), empty=Measured(dict)).run_once()
    assert told() == []


def test_a_round_that_cannot_be_sent_is_logged_once_and_lost(
    conf: cfg.ConfigOpts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    conf.set_override("driver", ["messagingv2"], GROUP)
    conf.set_override("transport_url", "rabbit://nobody:nobody@127.0.0.1:1/", GROUP)
    rounds = measuring(conf, Host(sysfs=tmp_path), works=Measured(lambda: {CARD: {"temp_c": 20.0}}))
    for _ in range(3):
        rounds.run_once()
    assert len([one for one in caplog.records if "No message broker answers" in one.getMessage()]) == 1


@pytest.mark.parametrize(
    ("interval", "drivers", "warned"), [(0, ["test"], False), (60, [], True), (60, ["noop"], True)]
)
def test_nothing_is_measured_unless_it_is_wanted_and_somebody_hears_it(
    conf: cfg.ConfigOpts,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    interval: int,
    drivers: list[str],
    warned: bool,
) -> None:
    conf.set_override("measure_interval", interval, "agent")
    conf.set_override("driver", drivers, GROUP)
    assert measuring(conf, Host(sysfs=tmp_path), works=Measured(dict)).interval == 0
    assert any("measure_interval has no effect" in one.getMessage() for one in caplog.records) is warned


def test_rounds_come_at_their_own_pace_until_the_agent_stops(conf: cfg.ConfigOpts, tmp_path: Path) -> None:
    conf.set_override("measure_interval", 0.01, "agent")
    card = {"vendor": 0x10DE, "device": 0x20F1, "class": 0x030200, "driver": "nvidia", "power_state": "D0"}
    nvml = {"init": "ok", "devices": [{"bus_id": f"0000{CARD}", "temperature": 41, "utilisation": 97}]}
    rounds = measuring(conf, builders.host(tmp_path, {CARD: card}), nvidia=builders.driver("nvidia_gpu", None, nvml))
    stopping = threading.Event()
    thread = threading.Thread(target=rounds.run, args=(stopping,))
    thread.start()
    while len(told()) < 2:
        thread.join(0.01)
    stopping.set()
    thread.join()
    assert told()[0]["payload"]["devices"][0]["sensors"] == {"temp_c": 41.0, "utilisation_percent": 97.0}
