# SPDX-License-Identifier: Apache-2.0
"""The name by which an agent goes."""

import socket
import threading
from collections.abc import Callable

import pytest
from oslo_config import cfg

from cyborg import conf as configuration
from cyborg.agent import naming
from cyborg.domain import errors

FQDN, SHORT = "compute-1.example.org", "compute-1"


class Placement:
    """Knows what it is given; ``before`` is called with each look-up."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.asked: list[str] = []
        self.before: Callable[[], None] = lambda: None

    def find_provider(self, names: list[str]) -> str | None:
        self.asked += names
        self.before()
        return next((f"uuid of {name}" for name in names if name in self.names), None)


@pytest.fixture
def conf(monkeypatch: pytest.MonkeyPatch) -> cfg.ConfigOpts:
    conf = configuration.new_config()
    conf([], default_config_files=[], default_config_dirs=[])
    conf.set_override("host", SHORT)
    monkeypatch.setattr(socket, "getfqdn", lambda: FQDN)
    monkeypatch.setattr(naming, "LONGEST_PAUSE", 0.01)
    return conf


def test_a_configured_name_is_believed_without_asking(conf: cfg.ConfigOpts) -> None:
    conf.set_override("resource_provider_name", "hypervisor-7", "agent")
    placement = Placement(FQDN, SHORT)
    assert (naming.settle(conf, placement), placement.asked) == ("hypervisor-7", [])


@pytest.mark.parametrize(("known", "name"), [({FQDN}, FQDN), ({SHORT}, SHORT), ({FQDN, SHORT}, FQDN)])
def test_the_name_is_the_one_that_placement_has_and_the_qualified_one_goes_first(
    conf: cfg.ConfigOpts, known: set[str], name: str
) -> None:
    assert naming.settle(conf, Placement(*known)) == name


@pytest.mark.parametrize("fqdn", [SHORT, "localhost", "localhost.localdomain"])
def test_a_host_with_one_name_goes_by_it_without_asking(
    conf: cfg.ConfigOpts, monkeypatch: pytest.MonkeyPatch, fqdn: str
) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: fqdn)
    placement = Placement()
    assert (naming.settle(conf, placement), placement.asked) == (SHORT, [])


def test_it_is_said_once_that_the_agent_waits_for_its_provider(
    conf: cfg.ConfigOpts, caplog: pytest.LogCaptureFixture
) -> None:
    placement = Placement()

    def appear_in_the_third_round() -> None:
        if len(placement.asked) == 5:
            placement.names.add(SHORT)

    placement.before = appear_in_the_third_round
    assert naming.settle(conf, placement) == SHORT
    assert [FQDN in line and SHORT in line for line in caplog.messages] == [True]


def test_an_outage_of_placement_is_waited_for(conf: cfg.ConfigOpts, caplog: pytest.LogCaptureFixture) -> None:
    placement = Placement(FQDN)

    def be_away_twice() -> None:
        if len(placement.asked) < 3:
            raise errors.Unavailable("Placement is away.")

    placement.before = be_away_twice
    assert naming.settle(conf, placement) == FQDN
    assert "is away" in caplog.text


def test_a_stop_ends_the_waiting(conf: cfg.ConfigOpts) -> None:
    stopping = threading.Event()
    placement = Placement()
    placement.before = stopping.set
    assert naming.settle(conf, placement, stopping) == FQDN
