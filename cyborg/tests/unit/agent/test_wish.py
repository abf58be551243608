# SPDX-License-Identifier: Apache-2.0
"""The options of a host decide how it is shown, as long as nothing has to be moved for it."""

import logging
from pathlib import Path

import pytest
from oslo_config import cfg

from cyborg.agent.reporter import Reporter
from cyborg.domain import view
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.drivers.host import Host
from cyborg.drivers.loader import LoadedDriver
from cyborg.placement.client import PlacementClient
from cyborg.placement.publisher import Publisher
from cyborg.tests.unit.agent.conftest import HOST, Rig

CLASS = view.GENERIC_CLASS
NESTED = Shape(layout=Layout.NESTED)


def restarted(rig: Rig, conf: cfg.ConfigOpts, tmp_path: Path, shape: Shape) -> Reporter:
    """The agent after a restart with other options."""
    conf.set_override("provider_layout", shape.layout, group="placement")
    conf.set_override("resource_class_naming", shape.naming, group="placement")
    return Reporter(
        conf,
        HOST,
        [LoadedDriver(name="gpus", driver=rig.gpus), LoadedDriver(name="fpgas", driver=rig.fpgas)],
        Host(sysfs=tmp_path),
        conductor=rig.conductor,
        publisher=Publisher(PlacementClient.from_conf(conf), conf),
    )


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if "cyborg-manage placement reshape" in line]


def test_a_new_host_is_shown_as_its_options_say_from_the_start(rig: Rig, conf: cfg.ConfigOpts, tmp_path: Path) -> None:
    root = rig.placement.create_provider(HOST)
    restarted(rig, conf, tmp_path, NESTED).run_once()
    assert rig.conductor.books.shape == NESTED
    assert rig.placement.inventories(root) == {}
    assert len(rig.placement.candidates({CLASS: 1})) == 2


def test_an_idle_host_follows_a_changed_option(
    rig: Rig, conf: cfg.ConfigOpts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    for shape in (NESTED, Shape(layout=Layout.NESTED, naming=Naming.TYPED), Shape()):
        reporter = restarted(rig, conf, tmp_path, shape)
        reporter.run_once()
        reporter.run_once()
        assert rig.conductor.books.shape == shape
    assert rig.placement.candidates({CLASS: 1}) == {root}
    assert said(caplog) == []


def test_a_host_in_use_keeps_its_layout_and_the_command_is_named_once(
    rig: Rig, conf: cfg.ConfigOpts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    root = rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    consumer = rig.placement.claim(root, {CLASS: 1})
    reporter = restarted(rig, conf, tmp_path, NESTED)
    for _ in range(4):
        reporter.run_once()
    assert rig.conductor.books.shape == Shape()
    assert rig.placement.candidates({CLASS: 1}) == {root}
    (line,) = said(caplog)
    assert f"--to nested --naming generic --host {HOST}" in line
    rig.placement.release(consumer)
    reporter.run_once()
    assert rig.conductor.books.shape == NESTED


def test_a_placement_that_cannot_be_asked_keeps_the_layout(rig: Rig, conf: cfg.ConfigOpts, tmp_path: Path) -> None:
    rig.placement.create_provider(HOST)
    rig.reporter.run_once()
    reporter = restarted(rig, conf, tmp_path, NESTED)
    reporter.run_once()
    rig.placement.down()
    reporter.run_once()
    assert rig.conductor.books.shape == Shape()
    rig.placement.up()
    reporter.run_once()
    assert rig.conductor.books.shape == NESTED


def test_an_unchanged_nested_host_costs_one_call_and_one_read(rig: Rig, conf: cfg.ConfigOpts, tmp_path: Path) -> None:
    rig.placement.create_provider(HOST)
    reporter = restarted(rig, conf, tmp_path, NESTED)
    reporter.run_once()
    rig.conductor.calls.clear()
    rig.placement.log.clear()
    reporter.run_once()
    assert rig.conductor.calls == ["sync"]
    assert [request.method for request in rig.placement.log] == ["GET"]
