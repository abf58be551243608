# SPDX-License-Identifier: Apache-2.0
"""A real Placement, and a configuration that names it, for every room that talks to one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from oslo_config import cfg

from cyborg.conf import new_config
from cyborg.tests.placement_fixture import PlacementFixture


@pytest.fixture
def placement() -> Iterator[PlacementFixture]:
    with PlacementFixture() as fixture:
        yield fixture


@pytest.fixture
def conf(placement: PlacementFixture, tmp_path: Path) -> cfg.ConfigOpts:
    conf = new_config()
    conf([], default_config_files=[])
    placement.configure(conf)
    conf.set_override("nova_provider_config", str(tmp_path / "cyborg.yaml"), group="placement")
    return conf
