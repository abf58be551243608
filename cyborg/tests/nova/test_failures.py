# SPDX-License-Identifier: Apache-2.0
"""Hosts that die, and processes of ours that are killed while servers are being built: nothing is left of it."""

import pytest

from cyborg.tests.nova.books import Books
from cyborg.tests.nova.cloud import BOTH_GPUS, FPGA, GPU, Cloud
from cyborg.tests.nova.programs import until

pytestmark = pytest.mark.servers

#: The conductor and the agents are killed so often while servers are built.
ROUNDS = 2


def test_an_evacuated_server_gets_cards_of_the_other_host(cloud: Cloud, books: Books) -> None:
    server = cloud.boot(BOTH_GPUS)
    before = books.check(server, cards=2)
    source = cloud.host_of(server)
    (target,) = set(cloud.hosts) - {source}
    for program in (f"nova-compute-{source}", f"cyborg-agent-{source}"):
        cloud.programs.kill(program)
    cloud.change_service(source, {"forced_down": True})
    cloud.act(server, {"evacuate": {}}, user="admin", expect=200)
    until("it is on the other host", lambda: cloud.host_of(server) == target)
    cloud.until(server, "ACTIVE")
    # Until its nova-compute comes back Nova counts the server on both hosts.
    assert sum(books.allocated(server).values()) == 4
    requests = cloud.requests(server)
    assert {one["hostname"] for one in requests} == {target}
    assert not {one["uuid"] for one in requests} & before
    # Nova made them anew with the token of who evacuates; whose the server is, its allocation says.
    assert {one["uuid"] for one in cloud.requests(server, user="alice")} == {one["uuid"] for one in requests}
    cloud.start_compute(source)
    cloud.programs.start(f"cyborg-agent-{source}")
    cloud.until_forced_up(source)
    until("the source is clean", lambda: sum(books.allocated(server).values()) == 2)
    books.check(server, cards=2)
    cloud.delete(server)


def test_boots_during_which_the_conductor_is_killed_leave_nothing(cloud: Cloud, books: Books) -> None:
    _kill_during_boots(cloud, books, ["cyborg-conductor"])


def test_boots_during_which_the_agents_are_killed_leave_nothing(cloud: Cloud, books: Books) -> None:
    _kill_during_boots(cloud, books, [f"cyborg-agent-{host}" for host in cloud.hosts])


def _kill_during_boots(cloud: Cloud, books: Books, programs: list[str]) -> None:
    for _ in range(ROUNDS):
        asked = [cloud.ask(kind) for kind in (GPU, FPGA) * 2]
        until("a request is made", lambda: bool(cloud.requests()))
        for program in programs:
            cloud.programs.kill(program)
        cloud.programs.start(*programs)
        ended = {server: cloud.settled(server) for server in asked}
        assert set(ended.values()) <= {"ACTIVE", "ERROR"}
        for server, status in ended.items():
            if status == "ACTIVE":
                books.check(server, cards=1)
        cloud.delete(*asked)
        until("none is bound", lambda: {one["state"] for one in cloud.requests()} <= {"Initial"})
        cloud.drop_unbound()
    later = [cloud.boot(kind) for kind in (GPU, FPGA)]
    for server in later:
        books.check(server, cards=1)
    cloud.delete(*later)
