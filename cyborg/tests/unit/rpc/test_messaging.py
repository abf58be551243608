# SPDX-License-Identifier: Apache-2.0
"""What crosses between processes: values and domain errors, and nothing else."""

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg

from cyborg import conf as configuration
from cyborg import context
from cyborg.domain import errors
from cyborg.rpc import messaging

TOPIC = "tested"
CALLER = context.RequestContext(user_id="u", project_id="p", roles=["member"], from_service=True, overwrite=False)
TIMEOUT = 2
SECRET = "/etc/cyborg/a-path-in-a-trace.py"


class StrangeError(errors.CyborgError):
    """Of a later release: the receiver does not know the code."""

    code = "from_the_future"


class Endpoint:
    def __init__(self) -> None:
        self.seen: list[context.RequestContext] = []
        self.go_on = threading.Event()

    @messaging.exposed
    def echo(self, ctxt: context.RequestContext, value: Any) -> Any:
        self.seen.append(ctxt)
        return value

    @messaging.exposed
    def refuse(self, ctxt: context.RequestContext, code: str) -> None:
        raise errors.by_code().get(code, StrangeError)(f"Refused with {code}; do something else.")

    @messaging.exposed
    def break_down(self, ctxt: context.RequestContext) -> None:
        raise KeyError(SECRET)

    @messaging.exposed
    def wait(self, ctxt: context.RequestContext) -> str:
        self.go_on.wait(10)
        return "after all"

    def not_exposed(self, ctxt: context.RequestContext) -> None:
        raise AssertionError("called from outside")


class Rig:
    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf
        self.endpoint = Endpoint()
        transport = messaging.get_transport(conf)
        self.server = messaging.get_server(transport, TOPIC, "host-1", [self.endpoint])
        self.client = messaging.Client(conf, transport, TOPIC)


def make_conf(**values: Any) -> cfg.ConfigOpts:
    conf = configuration.new_config()
    conf([], default_config_files=[], default_config_dirs=[])
    for name, value in ({"transport_url": "fake://", "control_exchange": f"test-{uuid.uuid4()}"} | values).items():
        conf.set_override(name, value)
    return conf


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    rig = Rig(make_conf(bind_timeout=TIMEOUT))
    rig.server.start()
    yield rig
    rig.server.stop()
    rig.server.wait()


def test_values_come_back_as_they_were_sent(rig: Rig) -> None:
    value: Any = {"text": "ä", "none": None, "list": [1, 2.5, True], "nested": {"a": {}}}
    assert rig.client.call(CALLER, "echo", value=value) == value


def test_the_caller_is_known_on_the_other_side(rig: Rig) -> None:
    rig.client.call(CALLER, "echo", value=None)
    seen = rig.endpoint.seen[-1]
    assert (seen.user_id, seen.project_id, seen.roles, seen.from_service) == ("u", "p", ["member"], True)
    assert seen.request_id == CALLER.request_id


@pytest.mark.parametrize("code", sorted(errors.by_code()))
def test_every_domain_error_crosses_with_its_class_and_message(rig: Rig, code: str) -> None:
    with pytest.raises(errors.CyborgError) as caught:
        rig.client.call(CALLER, "refuse", code=code)
    assert type(caught.value) is errors.by_code()[code]
    assert caught.value.message == f"Refused with {code}; do something else."


def test_a_code_that_is_not_known_here_is_the_base_error_with_its_message(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "by_code", lambda: {"error": errors.CyborgError})
    with pytest.raises(errors.CyborgError) as caught:
        rig.client.call(CALLER, "refuse", code="whatever")
    assert type(caught.value) is errors.CyborgError
    assert "do something else" in caught.value.message


def test_a_bug_on_the_other_side_is_logged_there_and_told_without_its_trace(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(errors.CyborgError) as caught:
        rig.client.call(CALLER, "break_down")
    assert type(caught.value) is errors.CyborgError
    assert caught.value.message == "break_down failed; see the log."
    assert SECRET in caplog.text


@pytest.mark.parametrize(
    ("method", "arguments"), [("no_such_method", {}), ("not_exposed", {}), ("echo", {"unknown": 1}), ("echo", {})]
)
def test_what_the_other_side_does_not_understand_is_told_without_a_trace(
    rig: Rig, method: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(errors.CyborgError) as caught:
        rig.client.call(CALLER, method, **arguments)
    assert method in caught.value.message
    assert "Traceback" not in caught.value.message
    assert "File " not in caught.value.message


def test_no_answer_in_time_is_unavailable_and_says_for_how_long(rig: Rig) -> None:
    with pytest.raises(errors.Unavailable, match=f"did not answer within {TIMEOUT} seconds"):
        rig.client.call(CALLER, "wait")
    rig.endpoint.go_on.set()


def test_nobody_there_is_unavailable() -> None:
    rig = Rig(make_conf(bind_timeout=1))
    with pytest.raises(errors.Unavailable, match=f"{rig.conf.control_exchange}-{TOPIC} did not answer"):
        rig.client.call(CALLER, "echo", value=1)


def test_a_broker_that_is_away_is_unavailable_and_its_address_is_not_told() -> None:
    conf = make_conf(transport_url="rabbit://me:secret@127.0.0.1:1/", bind_timeout=TIMEOUT)
    client = messaging.Client(conf, messaging.get_transport(conf), TOPIC)
    with pytest.raises(errors.Unavailable) as caught:
        client.call(CALLER, "echo", value=1)
    assert "secret" not in caught.value.message
    assert "127.0.0.1" not in caught.value.message


def test_without_a_broker_there_is_no_transport() -> None:
    conf = configuration.new_config()
    conf([], default_config_files=[], default_config_dirs=[])
    with pytest.raises(errors.InvalidRequest, match="transport_url"):
        messaging.get_transport(conf)


def test_installations_of_different_exchanges_have_different_queues() -> None:
    conf = configuration.new_config()
    assert messaging.queue_name(conf, messaging.CONDUCTOR_TOPIC) == "cyborg-conductor"
    conf.set_override("control_exchange", "second")
    assert messaging.queue_name(conf, messaging.AGENT_TOPIC) == "second-agent"


def test_a_server_has_as_many_threads_as_the_pool_of_the_configuration() -> None:
    assert Rig(make_conf(thread_pool_size=3)).conf.executor_thread_pool_size == 3


def test_a_server_that_stops_answers_what_it_has_in_hand_and_may_be_stopped_twice() -> None:
    rig = Rig(make_conf(bind_timeout=10))
    rig.server.start()
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(rig.client.call(CALLER, "wait")))
    caller.start()
    threading.Event().wait(0.5)
    rig.server.stop()
    rig.server.stop()
    rig.endpoint.go_on.set()
    rig.server.wait()
    caller.join(5)
    assert answers == ["after all"]


def test_a_server_that_cannot_answer_is_left_after_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(messaging, "STOP_PATIENCE", 0.2)
    rig = Rig(make_conf(bind_timeout=1))
    rig.server.start()
    with pytest.raises(errors.Unavailable):
        rig.client.call(CALLER, "wait")
    rig.server.stop()
    rig.server.wait()
    assert "left without a farewell" in caplog.text
    rig.endpoint.go_on.set()


def test_a_cast_to_a_broker_that_is_away_is_unavailable() -> None:
    conf = make_conf(transport_url="rabbit://127.0.0.1:1/")
    client = messaging.Client(conf, messaging.get_transport(conf), TOPIC)
    with pytest.raises(errors.Unavailable):
        client.cast(CALLER, "host-1", "echo", value=1)
