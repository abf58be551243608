# SPDX-License-Identifier: Apache-2.0
"""One round makes books and Placement true, costs little when nothing changed, and survives every outage."""

import dataclasses
import logging
from pathlib import Path

import pytest
from oslo_config import cfg

from cyborg.agent.reporter import Reporter
from cyborg.domain import errors, view
from cyborg.domain.host_work import Unit
from cyborg.drivers.host import Host
from cyborg.drivers.loader import LoadedDriver
from cyborg.placement.client import PlacementClient
from cyborg.placement.publisher import Publisher
from cyborg.tests.placement_fixture import PlacementFixture, Request
from cyborg.tests.unit.agent.conftest import FPGA, GPU, HOST, MemoryConductor, Rig, SettableDriver, card

CLASS = view.GENERIC_CLASS
AGENT = "cyborg.agent"
OUTAGES = "cyborg.outage"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def infos(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]


def test_cards_of_every_driver_are_in_placement_after_the_first_round(rig: Rig) -> None:
    provider = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    assert rig.placement.inventories(provider)[CLASS]["total"] == 2
    assert rig.placement.traits(provider) == GPU | FPGA
    assert rig.conductor.calls == ["sync", "report gpus", "report fpgas"]


def test_an_unchanged_host_costs_one_call_and_one_read(rig: Rig) -> None:
    provider = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    rig.conductor.calls.clear()
    rig.placement.log.clear()
    rig.reporter.run_once()
    assert rig.conductor.calls == ["sync"]
    assert rig.placement.log == [Request("GET", f"/resource_providers?in_tree={provider}")]


def test_only_the_driver_that_sees_something_else_reports(rig: Rig) -> None:
    provider = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    rig.conductor.calls.clear()
    rig.gpus.cards.append(card("0000:03:00.0", *GPU))
    rig.reporter.run_once()
    assert rig.conductor.calls == ["sync", "report gpus"]
    assert rig.placement.inventories(provider)[CLASS]["total"] == 3


class Cleaner(SettableDriver):
    def clean(self, host: Host, unit: Unit) -> None:
        """Done."""


@pytest.mark.parametrize("wanted", [True, False])
def test_a_report_says_what_its_driver_can_do_and_what_is_not_wanted_here_it_cannot(
    placement: PlacementFixture, conf: cfg.ConfigOpts, tmp_path: Path, wanted: bool
) -> None:
    placement.create_provider(HOST)
    conf.set_override("clean", wanted, "agent")
    conductor = MemoryConductor()
    drivers = [
        LoadedDriver(name="cleaner", driver=Cleaner(card("0000:01:00.0", *GPU))),
        LoadedDriver(name="looker", driver=SettableDriver(card("0000:02:00.0", *FPGA))),
    ]
    publisher = Publisher(PlacementClient.from_conf(conf), conf)
    Reporter(conf, HOST, drivers, Host(sysfs=tmp_path), conductor=conductor, publisher=publisher).run_once()
    able = {device.driver: device.capabilities for device in conductor.books.devices}
    assert able == {"cleaner": {"cleans"} if wanted else frozenset(), "looker": frozenset()}


def test_a_driver_that_fails_sends_nothing_and_one_that_sees_nothing_says_so(rig: Rig) -> None:
    provider = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    rig.conductor.calls.clear()
    rig.gpus.failure = RuntimeError("the library is gone")
    rig.fpgas.cards.clear()
    rig.reporter.run_once()
    assert rig.conductor.calls == ["sync", "report fpgas"]
    assert rig.placement.inventories(provider)[CLASS]["total"] == 1
    assert rig.placement.traits(provider) == GPU


def test_the_agent_waits_for_its_provider_and_says_so_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, AGENT)
    for _ in range(3):
        rig.reporter.run_once()
    assert len([line for line in warnings(caplog) if f"no resource provider named {HOST} yet" in line]) == 1
    assert len(rig.conductor.books.devices) == 2, "reports do not wait"
    provider = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    assert rig.placement.traits(provider) == GPU | FPGA
    assert f"Host {HOST} is resource provider {provider}." in infos(caplog)


def test_a_provider_that_was_made_again_is_found_again(rig: Rig) -> None:
    first = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    rig.placement.put_inventories(first, {})
    rig.placement.delete_provider(first)
    second = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    rig.reporter.run_once()
    assert rig.placement.traits(second) == GPU | FPGA
    assert rig.conductor.books.provider_uuid == second


def test_an_outage_of_the_conductor_is_logged_when_it_starts_and_when_it_ends(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, OUTAGES)
    provider = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    rig.gpus.cards.clear()
    for attempt in range(3):
        rig.conductor.away = errors.Unavailable(f"cyborg-conductor does not answer ({attempt}).")
        rig.reporter.run_once()
    assert warnings(caplog) == ["Conductor: cyborg-conductor does not answer (0). It is tried again with every report."]
    rig.conductor.away = None
    rig.reporter.run_once()
    rig.reporter.run_once()
    assert infos(caplog)[-1:] == ["Conductor: well again."]
    assert rig.placement.traits(provider) == FPGA


def test_placement_is_repaired_while_the_conductor_is_away(rig: Rig) -> None:
    provider = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    rig.conductor.away = errors.Unavailable("away")
    rig.placement.put_traits(provider, [])
    rig.reporter.run_once()
    assert rig.placement.traits(provider) == GPU | FPGA


def test_an_outage_of_placement_is_logged_when_it_starts_and_when_it_ends_without_a_trace(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    provider = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    caplog.set_level(logging.INFO, OUTAGES)
    caplog.clear()
    rig.placement.down()
    rig.gpus.cards.clear()
    for _ in range(3):
        rig.reporter.run_once()
    (line,) = warnings(caplog)
    assert line.startswith("Placement: Placement cannot be reached for GET ")
    assert all(record.exc_info is None for record in caplog.records)
    assert len(rig.conductor.books.devices) == 1, "reports do not wait for Placement"
    rig.placement.up()
    rig.reporter.run_once()
    rig.reporter.run_once()
    assert infos(caplog)[-1:] == ["Placement: well again."]
    assert rig.placement.traits(provider) == FPGA


def test_an_agent_that_starts_during_an_outage_of_placement_heals(rig: Rig) -> None:
    provider = rig.placement.create_provider(HOST)
    rig.placement.down()
    rig.reporter.run_once()
    rig.placement.up()
    rig.reporter.run_once()
    assert rig.placement.traits(provider) == GPU | FPGA


def test_a_report_that_is_refused_does_not_keep_the_others_back(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    provider = rig.placement.create_provider(HOST)
    rig.conductor.refused["gpus"] = errors.InvalidRequest("address is not one.")
    for _ in range(2):
        rig.reporter.run_once()
    assert rig.placement.traits(provider) == FPGA
    assert [line for line in warnings(caplog) if "gpus" in line] == [
        "Report of driver gpus: address is not one. It is tried again with every report."
    ]


def test_a_view_that_was_cast_is_published_and_an_older_one_is_not(rig: Rig) -> None:
    provider = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    older = view.view(rig.conductor.books)
    publication = rig.reporter.publication
    assert publication.offer(rig.conductor.hold("0000:01:00.0", "an-arq"))
    publication.publish()
    assert rig.placement.traits(provider) == FPGA
    assert not publication.offer(older)
    publication.publish()
    assert rig.placement.traits(provider) == FPGA
    assert publication.offer(rig.conductor.hold("0000:01:00.0", None))
    publication.publish()
    assert rig.placement.traits(provider) == GPU | FPGA


def test_a_view_of_another_host_is_not_taken(rig: Rig) -> None:
    rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    other = dataclasses.replace(view.view(rig.conductor.books), host="compute-2", generation=99)
    assert not rig.reporter.publication.offer(other)


def test_books_that_went_back_to_an_older_generation_are_followed(rig: Rig) -> None:
    provider = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    backup = rig.conductor.books
    for _ in range(3):
        rig.reporter.publication.offer(rig.conductor.hold("0000:01:00.0", "an-arq"))
    rig.reporter.run_once()
    assert rig.placement.traits(provider) == FPGA
    rig.conductor.books = backup
    rig.reporter.run_once()
    assert rig.placement.traits(provider) == GPU | FPGA


def test_an_answer_that_a_cast_overtook_does_not_replace_it(rig: Rig) -> None:
    rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    publication = rig.reporter.publication
    asked_with, answer = publication.view, view.view(rig.conductor.books)
    cast = rig.conductor.hold("0000:01:00.0", "an-arq")
    publication.offer(cast)
    publication.adopt(answer, asked_with)
    assert publication.view == cast
