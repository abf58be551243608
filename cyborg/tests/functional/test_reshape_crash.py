# SPDX-License-Identifier: Apache-2.0
"""A command that moves a host may be killed anywhere: run again it ends well; `bench.crash` tries every point."""

from pathlib import Path

import pytest

from cyborg.domain.shape import Layout
from cyborg.tests import databases
from cyborg.tests.functional.deployment import rabbitmq
from cyborg.tests.functional.reshape_crash import moving_host

pytestmark = pytest.mark.servers

#: The command comes through some eighty on each way.
DEATHS = {Layout.NESTED: "*:33", Layout.COMPUTE_NODE: "*:52"}


def test_a_move_that_is_killed_and_run_again_has_moved_every_allocation(tmp_path: Path) -> None:
    with (
        databases.fresh("postgresql", tmp_path) as database,
        moving_host(tmp_path, database=database, transport_url=rabbitmq()) as host,
    ):
        for to, at in DEATHS.items():
            assert host.kill_at(at, to) == [], f"killed at {at} on the way to {to}"
