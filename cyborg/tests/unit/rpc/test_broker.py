# SPDX-License-Identifier: Apache-2.0
"""With a real broker: queues are replicated ones by default, and nobody waits for ever."""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from amqp import exceptions
from kombu.connection import Connection

from cyborg.domain import errors
from cyborg.rpc import messaging
from cyborg.tests.functional.broker_proxy import Proxy
from cyborg.tests.unit.rpc.test_messaging import CALLER, TOPIC, Rig, make_conf

VARIABLE = "CYBORG_TEST_RABBITMQ"
pytestmark = pytest.mark.servers


@pytest.fixture
def url() -> str:
    found = os.environ.get(VARIABLE)
    if not found:
        complain = pytest.fail if os.environ.get("CYBORG_TEST_REQUIRE_SERVERS") == "1" else pytest.skip
        complain(f"{VARIABLE} does not name a server")
    return str(found)


@pytest.fixture
def broker(url: str) -> Iterator[Connection]:
    with Connection(url.replace("rabbit://", "amqp://", 1)) as opened:
        yield opened


@pytest.fixture
def rig(url: str, broker: Connection) -> Iterator[Rig]:
    conf = make_conf(transport_url=url, bind_timeout=3)
    rig = Rig(conf)
    rig.server.start()
    yield rig
    rig.server.stop()
    rig.server.wait()
    name = messaging.queue_name(conf, TOPIC)
    channel = broker.channel()
    for queue in (name, f"{name}.host-1"):
        channel.queue_delete(queue)
    for exchange in (f"{name}_fanout", conf.control_exchange):
        channel.exchange_delete(exchange)


def refused(broker: Connection, queue: str, arguments: dict[str, str]) -> bool:
    """Whether a queue of that name exists and is of another kind."""
    try:
        broker.channel().queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)
    except exceptions.PreconditionFailed:
        return True
    return False


def test_calls_travel_over_quorum_queues(rig: Rig, broker: Connection) -> None:
    assert rig.client.call(CALLER, "echo", value="there and back") == "there and back"
    assert rig.client.call_server("host-1", CALLER, "echo", value=1) == 1
    name = messaging.queue_name(rig.conf, TOPIC)
    for queue in (name, f"{name}.host-1"):
        assert not refused(broker, queue, {"x-queue-type": "quorum"})
        assert refused(broker, queue, {})


def test_a_server_that_does_not_answer_is_given_up_after_the_time_out(rig: Rig) -> None:
    begun = time.monotonic()
    with pytest.raises(errors.Unavailable, match="within 3 seconds"):
        rig.client.call(CALLER, "wait")
    assert time.monotonic() - begun < 10
    rig.endpoint.go_on.set()


def test_a_server_that_is_not_there_is_given_up_after_the_time_out(rig: Rig) -> None:
    begun = time.monotonic()
    with pytest.raises(errors.Unavailable):
        rig.client.call_server(f"host-{uuid.uuid4()}", CALLER, "echo", value=1)
    assert time.monotonic() - begun < 10


def test_a_broker_that_is_not_there_is_given_up_before_long() -> None:
    client = messaging.Client(
        conf := make_conf(transport_url="rabbit://guest:guest@127.0.0.1:9/", bind_timeout=3),
        messaging.get_transport(conf),
        TOPIC,
    )
    begun = time.monotonic()
    with pytest.raises(errors.Unavailable):
        client.call(CALLER, "echo", value=1)
    assert time.monotonic() - begun < 60


def test_a_broker_that_falls_silent_keeps_nobody_waiting_for_longer_than_that(url: str, rig: Rig) -> None:
    with Proxy(url) as proxy:
        conf = make_conf(transport_url=proxy.url, bind_timeout=3, control_exchange=rig.conf.control_exchange)
        client = messaging.Client(conf, messaging.get_transport(conf), TOPIC)
        assert client.call(CALLER, "echo", value=1) == 1
        proxy.hold()
        begun = time.monotonic()
        with pytest.raises(errors.Unavailable, match="within 3 seconds"):
            client.call(CALLER, "echo", value=2)
        assert time.monotonic() - begun < 10


def test_what_comes_in_while_a_server_stops_is_served_by_it_or_by_another(rig: Rig) -> None:
    enough = threading.Event()

    def call() -> int:
        answers = 0
        while not enough.is_set():
            answers += rig.client.call(CALLER, "echo", value=1)
        return answers

    with ThreadPoolExecutor(3) as pool:
        callers = [pool.submit(call) for _ in range(3)]
        for _ in range(3):
            other = messaging.get_server(messaging.get_transport(rig.conf), TOPIC, "host-1", [rig.endpoint])
            other.start()
            other.stop()
            other.wait()
        enough.set()
        assert all(caller.result() for caller in callers)
