# SPDX-License-Identifier: Apache-2.0
"""A real Placement, and a publisher that talks to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from oslo_config import cfg

from cyborg.conf import new_config
from cyborg.placement.client import PlacementClient
from cyborg.placement.publisher import Publisher
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


@pytest.fixture
def client(conf: cfg.ConfigOpts) -> PlacementClient:
    return PlacementClient.from_conf(conf)


@pytest.fixture
def publisher(client: PlacementClient, conf: cfg.ConfigOpts) -> Publisher:
    return Publisher(client, conf)
