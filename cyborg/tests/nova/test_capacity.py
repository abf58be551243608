# SPDX-License-Identifier: Apache-2.0
"""What two hosts with two GPUs and two FPGA units each can give, and what happens to those who want more."""

import pytest

from cyborg.tests.nova.books import CLASS, Books
from cyborg.tests.nova.cloud import FPGA, GPU, GPU_AND_FPGA, IMAGE, Cloud, new_name
from cyborg.tests.nova.service import FPGA_TRAIT, GPU_TRAIT, GPUS

pytestmark = pytest.mark.servers


def test_a_boot_beyond_capacity_is_no_valid_host_and_leaves_nothing(cloud: Cloud, books: Books) -> None:
    """The free FPGA units, of the same class, do not count: the traits of the GPUs are gone."""
    fitting = []
    for _ in range(len(GPUS) * len(cloud.hosts)):
        fitting.append(cloud.boot(GPU))
        books.check(fitting[-1], cards=1)
        if not books.offered_anywhere(GPU_TRAIT):
            break
    for host in cloud.hosts:
        books.until_offered(host, GPU_TRAIT, so=False)
        books.until_offered(host, FPGA_TRAIT)
    assert len(fitting) == len(GPUS) * len(cloud.hosts)
    beyond = cloud.ask(GPU)
    assert cloud.settled(beyond) == "ERROR"
    assert "No valid host" in cloud.fault(beyond)
    assert not cloud.requests(beyond)
    assert not books.allocated(beyond)
    other = cloud.boot(FPGA)
    books.check(other, cards=1)
    cloud.delete(fitting.pop(), beyond)
    again = cloud.boot(GPU)
    books.check(again, cards=1)
    cloud.delete(*fitting, other, again)


def test_more_boots_at_once_than_there_are_cards_give_each_card_to_one(cloud: Cloud, books: Books) -> None:
    """Between Placement's answer and the bind another server may get the last GPU: the bind is refused then."""
    asked = [cloud.ask(GPU) for _ in range(len(GPUS) * len(cloud.hosts) + 2)]
    ended = {server: cloud.settled(server) for server in asked}
    lucky = [server for server, status in ended.items() if status == "ACTIVE"]
    for server in lucky:
        books.check(server, cards=1)
    assert 0 < len(lucky) <= len(GPUS) * len(cloud.hosts)
    assert set(ended.values()) <= {"ACTIVE", "ERROR"}
    for server in set(asked) - set(lucky):
        assert not cloud.requests(server)
        assert "No valid host" in cloud.fault(server) or "bind accelerator requests" in cloud.fault(server)
    cloud.delete(*asked)


def test_two_profiles_on_one_host_at_once_get_each_its_own_kind(cloud: Cloud, books: Books) -> None:
    host = cloud.hosts[0]
    asked = {cloud.ask(GPU, host): "PCI", cloud.ask(FPGA, host): "TEST_PCI"}
    for server, kind in asked.items():
        cloud.until(server, "ACTIVE")
        books.check(server, cards=1)
        assert cloud.host_of(server) == host
        assert [found for found, _ in books.cards(server)] == [kind]
    cloud.delete(*asked)


def test_one_profile_with_two_groups_gets_one_of_each_kind(cloud: Cloud, books: Books) -> None:
    server = cloud.boot(GPU_AND_FPGA)
    books.check(server, cards=2)
    assert [kind for kind, _ in books.cards(server)] == ["PCI", "TEST_PCI"]
    groups = {one["device_profile_group_id"]: one["attach_handle_type"] for one in cloud.requests(server)}
    assert groups == {0: "PCI", 1: "TEST_PCI"}
    cloud.delete(server)


def test_a_flavor_with_an_unknown_profile_is_refused_at_once(cloud: Cloud) -> None:
    name = new_name()
    cloud.make_flavor(name, {"accel:device_profile": "no-such-profile"})
    body = {"name": name, "flavorRef": name, "imageRef": IMAGE, "networks": "none"}
    answer = cloud.compute("POST", "/servers", user="alice", body={"server": body}, expect=400)
    assert "device profile" in answer["badRequest"]["message"]


def test_units_of_a_flavor_without_profile_are_counted_and_named(cloud: Cloud, books: Books) -> None:
    """Nova makes no request for such a server: Placement counts it, and the audit says so."""
    name = new_name()
    cloud.make_flavor(name, {f"resources1:{CLASS}": "1", f"trait1:{FPGA_TRAIT}": "required"})
    server = cloud.boot(name)
    assert not cloud.requests(server)
    assert sum(books.allocated(server).values()) == 1
    audit = cloud.service.run("cyborg-manage", "audit")
    assert audit.returncode == 1
    assert f"claim_without_request: {server}" in audit.stdout
    cloud.delete(server)
