# SPDX-License-Identifier: Apache-2.0
"""One cloud for each layout: Keystone, Placement, Nova with two compute hosts, and our service."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cyborg.tests import databases
from cyborg.tests.functional.deployment import rabbitmq
from cyborg.tests.functional.keystone_fixture import Identity
from cyborg.tests.nova import broker, edge, nova
from cyborg.tests.nova.books import Books
from cyborg.tests.nova.cloud import Cloud
from cyborg.tests.nova.nova import Nova
from cyborg.tests.nova.programs import Programs, until
from cyborg.tests.nova.service import FPGA_TRAIT, GPU_TRAIT, Service

if nova.VARIABLE not in os.environ:
    collect_ignore_glob = ["test_*.py"]

HOSTS = ("left", "right")
LAYOUTS = os.environ.get("CYBORG_TEST_NOVA_LAYOUTS", "compute_node,nested").split(",")


@pytest.fixture(scope="session", params=LAYOUTS)
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Everything runs, both hosts are open for work, and nothing is held."""
    directory: Path = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        made = _make(stack, directory, request.param)
        _open_hosts(made)
        yield made


@pytest.fixture(scope="session")
def books(cloud: Cloud) -> Books:
    return Books(cloud)


@pytest.fixture(autouse=True)
def nothing_is_left(cloud: Cloud, books: Books) -> Iterator[None]:
    """What every test ends with; what one that failed left is no trouble of the next."""
    cloud.mend()
    before: dict[str, Any] = books.of_placement()
    yield
    books.check_nothing_left(before)


@pytest.fixture(scope="session", autouse=True)
def no_audit_finds_anything(books: Books) -> Iterator[None]:
    """After all tests of one layout."""
    yield
    books.audit()


def _make(stack: ExitStack, directory: Path, layout: str) -> Cloud:
    transport_url = stack.enter_context(broker.virtual_host(rabbitmq()))
    names = ("api", "cell0", "cell", "ours", "placement")
    urls = {name: stack.enter_context(databases.fresh("mysql", directory)) for name in names}
    identity = stack.enter_context(Identity(directory, urls["placement"]))
    around = stack.enter_context(edge.serve())
    programs = stack.enter_context(Programs(directory))
    shared = {"auth_url": identity.url, "transport_url": transport_url}
    compute = Nova(directory, programs, databases=urls, hosts=HOSTS, **shared)
    read = {host: compute.directory_of(host) / "provider_config" for host in HOSTS}
    service = Service(directory, programs, database=urls["ours"], provider_configs=read, layout=layout, **shared)
    endpoints = {"compute": compute.url, "accelerator": service.url}
    endpoints |= {"image": f"{around}/image", "network": f"{around}/network"}
    for service_type, url in endpoints.items():
        identity.add_endpoint(service_type, url)
    compute.make()
    service.make()
    return Cloud(identity, programs, compute, service)


def _open_hosts(cloud: Cloud) -> None:
    """As an operator brings up a cloud, doing only what the agents ask for."""
    programs = cloud.programs
    cloud.nova.start()
    cloud.service.start()
    for host in HOSTS:
        cloud.start_compute(host)
    programs.start(*cloud.service.agents())
    cloud.make_flavors()
    books = Books(cloud)
    if cloud.service.layout == "compute_node":
        for host in HOSTS:
            programs.wait_for(f"cyborg-agent-{host}", f"Restart nova-compute on {host} once")
            assert not books.offered(host, GPU_TRAIT)
            cloud.restart_compute(host)
    for host in HOSTS:
        for trait in (GPU_TRAIT, FPGA_TRAIT):
            books.until_offered(host, trait)
    until("Nova knows both hosts", lambda: _schedulable(cloud))


def _schedulable(cloud: Cloud) -> bool:
    found = cloud.compute("GET", "/os-hypervisors", user="admin", expect=200)["hypervisors"]
    return {one["hypervisor_hostname"] for one in found} == set(HOSTS)
