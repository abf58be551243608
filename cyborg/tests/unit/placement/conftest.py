# SPDX-License-Identifier: Apache-2.0
"""A real Placement, and a publisher that talks to it."""

import pytest
from oslo_config import cfg

from cyborg.placement.client import PlacementClient
from cyborg.placement.publisher import Publisher


@pytest.fixture
def client(conf: cfg.ConfigOpts) -> PlacementClient:
    return PlacementClient.from_conf(conf)


@pytest.fixture
def publisher(client: PlacementClient, conf: cfg.ConfigOpts) -> Publisher:
    return Publisher(client, conf)
