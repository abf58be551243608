# SPDX-License-Identifier: Apache-2.0
"""A process that is killed at a seam leaves nothing leaked, doubled or stuck; `bench.crash` tries all of them."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyborg.tests import databases
from cyborg.tests.functional import crash_harness, crash_sites
from cyborg.tests.functional.deployment import rabbitmq

SEED = 7
POINTS = 3
POINTS_OF_EACH_KIND = 2


def check(site: crash_sites.Site, kind: str, count: int, directory: Path) -> None:
    points = crash_harness.record(site, kind, directory / f"{kind}.points")
    hit = 0
    for number, at in enumerate(random.Random(SEED).sample(points, count)):
        outcome = crash_harness.kill_at(site, kind, at, directory / f"{kind}.{number}")
        assert not outcome.problems, f"{kind} killed at {outcome.hit or at}: {outcome.problems}"
        hit += bool(outcome.hit)
    # What happens by the clock does not happen as often in every life.
    assert hit * 2 >= count


def test_one_process_on_sqlite(tmp_path: Path) -> None:
    with crash_sites.Standalone(tmp_path) as site:
        check(site, "standalone", POINTS, tmp_path)


@pytest.fixture(scope="module", params=list(databases.VARIABLES))
def deployed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[crash_sites.Deployed]:
    directory: Path = tmp_path_factory.mktemp("crash")
    with (
        databases.fresh(request.param, directory) as url,
        crash_sites.Deployed(directory, database=url, transport_url=rabbitmq()) as site,
    ):
        yield site


@pytest.mark.servers
@pytest.mark.parametrize("kind", crash_sites.Deployed.kinds)
def test_each_process_on_real_servers(
    deployed: crash_sites.Deployed, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Processes write to it that outlive the test.
    check(deployed, kind, POINTS_OF_EACH_KIND, tmp_path_factory.mktemp(kind))
