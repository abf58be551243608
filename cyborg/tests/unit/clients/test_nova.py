# SPDX-License-Identifier: Apache-2.0
"""What Nova is told of binds, and what its answers mean."""

import logging
from collections.abc import Iterator

import pytest
from keystoneauth1 import loading
from oslo_config import cfg

from cyborg.clients import nova
from cyborg.conf import new_config
from cyborg.domain import errors
from cyborg.tests.functional.fake_nova import FakeNova

# openstacksdk's own, of its way to find the endpoint.
pytestmark = pytest.mark.filterwarnings("ignore:The 'service_type' parameter is unnecesary")
EVENTS = [
    nova.Event(arq_uuid="a", instance_uuid="i", completed=True),
    nova.Event(arq_uuid="b", instance_uuid="i", completed=False),
]


@pytest.fixture
def compute() -> Iterator[FakeNova]:
    with FakeNova() as fake:
        yield fake


@pytest.fixture
def conf(compute: FakeNova) -> cfg.ConfigOpts:
    conf = new_config()
    conf([], default_config_files=[])
    conf.register_opts(loading.get_auth_plugin_conf_options("none"), group="nova")
    conf.set_override("auth_type", "none", group="nova")
    conf.set_override("endpoint", compute.url, group="nova")
    return conf


def test_the_events_of_a_server_go_in_one_call_with_the_microversion_that_knows_them(
    compute: FakeNova, conf: cfg.ConfigOpts
) -> None:
    nova.from_conf(conf).send(EVENTS)
    (request,) = compute.requests
    assert request.path.endswith("/os-server-external-events")
    assert request.microversion == "compute 2.82"
    assert request.body == {
        "events": [
            {"name": "accelerator-request-bound", "server_uuid": "i", "tag": "a", "status": "completed"},
            {"name": "accelerator-request-bound", "server_uuid": "i", "tag": "b", "status": "failed"},
        ]
    }


@pytest.mark.parametrize("code", [422, 404])
def test_a_server_that_is_on_no_host_yet_or_gone_is_no_trouble(
    compute: FakeNova, conf: cfg.ConfigOpts, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    compute.code = code
    nova.from_conf(conf).send(EVENTS)
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_an_event_that_nova_does_not_understand_is_logged_and_not_sent_again(
    compute: FakeNova, conf: cfg.ConfigOpts, caplog: pytest.LogCaptureFixture
) -> None:
    compute.code = 400
    nova.from_conf(conf).send(EVENTS[:1])
    assert "did not understand" in caplog.text


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Busy", "401 Unauthorized", "429 Slow Down"])
def test_trouble_that_passes_is_a_reason_to_try_again(compute: FakeNova, conf: cfg.ConfigOpts, status: str) -> None:
    compute.status = status
    with pytest.raises(errors.Unavailable):
        nova.from_conf(conf).send(EVENTS)


def test_a_nova_that_is_away_is_told_in_words_for_people(conf: cfg.ConfigOpts) -> None:
    with FakeNova() as soon_gone:
        conf.set_override("endpoint", soon_gone.url, group="nova")
        client = nova.Nova(conf)
        client.send(EVENTS)
    for _ in range(2):
        with pytest.raises(errors.Unavailable) as caught:
            client.send(EVENTS)
        assert caught.value.message == "Nova cannot be reached: Connection refused."


def test_a_call_that_nova_refuses_as_a_whole_is_logged_and_not_sent_again(
    compute: FakeNova, conf: cfg.ConfigOpts, caplog: pytest.LogCaptureFixture
) -> None:
    compute.status = "400 Bad Request"
    nova.from_conf(conf).send(EVENTS)
    assert "will not be asked again" in caplog.text


def test_nobody_is_told_where_there_are_no_credentials_or_nobody_wants_it(conf: cfg.ConfigOpts) -> None:
    conf.set_override("send_events", False, group="nova")
    assert isinstance(nova.from_conf(conf), nova.NoNova)
    bare = new_config()
    bare([], default_config_files=[])
    assert isinstance(nova.from_conf(bare), nova.NoNova)
