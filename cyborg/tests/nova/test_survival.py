# SPDX-License-Identifier: Apache-2.0
"""What is shown in Placement outlives Nova's own housekeeping, and servers are built through all of it."""

from collections.abc import Iterator

import pytest

from cyborg.tests.nova.books import Books
from cyborg.tests.nova.cloud import FPGA, GPU, PLAIN, Cloud
from cyborg.tests.nova.programs import until

pytestmark = pytest.mark.servers

REFRESHED = "Refreshing inventories for resource provider"


@pytest.fixture
def servers(cloud: Cloud) -> Iterator[list[str]]:
    """A GPU on one host and an FPGA on the other are held."""
    made = [cloud.boot(kind, host) for kind, host in zip((GPU, FPGA), cloud.hosts, strict=True)]
    yield made
    cloud.delete(*made)


def _refreshes(cloud: Cloud, host: str) -> int:
    return cloud.programs.said(f"nova-compute-{host}").count(REFRESHED)


def _builds(cloud: Cloud, books: Books) -> None:
    """Every host builds servers of all kinds."""
    asked = {
        cloud.ask(kind, host): cards for host in cloud.hosts for kind, cards in {PLAIN: 0, GPU: 1, FPGA: 1}.items()
    }
    for server, cards in asked.items():
        cloud.until(server, "ACTIVE")
        books.check(server, cards=cards)
    cloud.delete(*asked)


def test_it_survives_a_refresh_of_novas_cache(cloud: Cloud, books: Books, servers: list[str]) -> None:
    before = books.of_placement()
    seen = {host: _refreshes(cloud, host) for host in cloud.hosts}
    until(
        "every nova-compute has read Placement anew",
        lambda: all(_refreshes(cloud, host) > count for host, count in seen.items()),
    )
    books.until_placement_is(before)
    for server in servers:
        books.check(server, cards=1)
    _builds(cloud, books)
    books.until_placement_is(before)


def test_it_survives_a_restart_of_nova_compute(cloud: Cloud, books: Books, servers: list[str]) -> None:
    before = books.of_placement()
    for host in cloud.hosts:
        cloud.restart_compute(host)
    books.until_placement_is(before)
    for server in servers:
        requests = books.check(server, cards=1)
        cloud.act(server, {"reboot": {"type": "HARD"}})
        cloud.until(server, "ACTIVE")
        assert books.check(server, cards=1) == requests
    _builds(cloud, books)
    books.until_placement_is(before)


def test_it_survives_a_compute_service_that_was_disabled(cloud: Cloud, books: Books, servers: list[str]) -> None:
    """Nova writes a trait of its own on the same provider then."""
    before = books.of_placement()
    host = cloud.hosts[0]
    cloud.change_service(host, {"status": "disabled"})
    other = cloud.boot(GPU)
    assert cloud.host_of(other) != host
    cloud.change_service(host, {"status": "enabled"})
    cloud.delete(other)
    books.until_placement_is(before)
    _builds(cloud, books)
