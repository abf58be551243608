# SPDX-License-Identifier: Apache-2.0
"""What comes to an agent twice, late, broken off, or from a conductor of another release."""

from typing import Any

import pytest

from cyborg import context
from cyborg.agent.endpoint import AgentEndpoint
from cyborg.domain import view, wire
from cyborg.domain.shape import DEFAULT_SHAPE
from cyborg.rpc.conductor import SyncAnswer
from cyborg.tests.unit.agent.conftest import FPGA, GPU, HOST, Rig

ANYBODY = context.service_context()


@pytest.fixture
def endpoint(rig: Rig) -> AgentEndpoint:
    def take(wanted: view.HostView) -> None:
        if rig.reporter.publication.offer(wanted):
            rig.reporter.publication.publish()

    return AgentEndpoint(take)


@pytest.fixture
def provider(rig: Rig) -> str:
    found = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    return found


def cast(rig: Rig, holder: str | None) -> dict[str, Any]:
    """The message of a conductor after a claim of the GPU, or its release."""
    message: dict[str, Any] = wire.to_wire(rig.conductor.hold("0000:01:00.0", holder))
    return message


def test_a_view_that_comes_twice_is_published_once(rig: Rig, endpoint: AgentEndpoint, provider: str) -> None:
    message = cast(rig, "an-arq")
    endpoint.publish(ANYBODY, view=message)
    rig.placement.log.clear()
    endpoint.publish(ANYBODY, view=message)
    assert rig.placement.log == []
    assert rig.placement.traits(provider) == FPGA


def test_views_that_come_in_the_wrong_order_end_with_the_newest(
    rig: Rig, endpoint: AgentEndpoint, provider: str
) -> None:
    claimed, released = cast(rig, "an-arq"), cast(rig, None)
    for message in (released, claimed, released, claimed):
        endpoint.publish(ANYBODY, view=message)
        assert rig.placement.traits(provider) == GPU | FPGA


@pytest.mark.parametrize("member", ["host", "generation", "providers"])
def test_a_view_that_breaks_off_is_refused_and_the_one_before_stays(
    rig: Rig, endpoint: AgentEndpoint, provider: str, member: str
) -> None:
    message = cast(rig, "an-arq")
    del message[member]
    answer = endpoint.publish(ANYBODY, view=message)
    assert answer["error"]["code"] == "invalid_request"
    assert rig.placement.traits(provider) == GPU | FPGA


def test_a_view_of_an_older_conductor_speaks_of_no_layout_and_means_the_default(
    rig: Rig, endpoint: AgentEndpoint, provider: str
) -> None:
    message = cast(rig, "an-arq")
    del message["shape"]
    endpoint.publish(ANYBODY, view=message)
    assert rig.reporter.publication.view is not None
    assert rig.reporter.publication.view.shape == DEFAULT_SHAPE
    assert rig.placement.traits(provider) == FPGA


def test_an_older_conductor_that_numbers_no_reports_gets_them_without_a_number(rig: Rig) -> None:
    answer = wire.from_wire(SyncAnswer, {"stale": ["gpus", "fpgas"]})
    assert dict(answer.sequences) == {}
    rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    assert rig.conductor.numbers == [None, None]
