# SPDX-License-Identifier: Apache-2.0
"""What a user does with a server: its cards stay with it, or go and come back, and nothing is left."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from cyborg.tests.nova.books import Books
from cyborg.tests.nova.cloud import BOTH_GPUS, FPGA, IMAGE, OTHER_IMAGE, PLAIN, Cloud
from cyborg.tests.nova.service import FPGA_TRAIT, GPU_TRAIT

pytestmark = pytest.mark.servers

Action = Mapping[str, Any]


def _then(*steps: tuple[Action, str]) -> Callable[[Cloud, str], None]:
    """Actions in a row, each with the status of the server after it."""

    def run(cloud: Cloud, server: str) -> None:
        for action, status in steps:
            cloud.act(server, action)
            cloud.until(server, status)

    return run


KEEPING: Mapping[str, Callable[[Cloud, str], None]] = {
    "soft reboot": _then(({"reboot": {"type": "SOFT"}}, "ACTIVE")),
    "hard reboot": _then(({"reboot": {"type": "HARD"}}, "ACTIVE")),
    "stop and start": _then(({"os-stop": None}, "SHUTOFF"), ({"os-start": None}, "ACTIVE")),
    "pause and unpause": _then(({"pause": None}, "PAUSED"), ({"unpause": None}, "ACTIVE")),
    "rebuild": _then(({"rebuild": {"imageRef": IMAGE}}, "ACTIVE")),
    "rebuild with another image": _then(({"rebuild": {"imageRef": OTHER_IMAGE}}, "ACTIVE")),
}
REFUSED: Mapping[str, Action] = {
    "resize": {"resize": {"flavorRef": FPGA}},
    "migrate": {"migrate": None},
    "live migration": {"os-migrateLive": {"host": None, "block_migration": "auto"}},
    "suspend": {"suspend": None},
}


@pytest.fixture(scope="class")
def server(cloud: Cloud, books: Books) -> Iterator[str]:
    """It has both GPUs of its host."""
    cloud.mend()
    before = books.of_placement()
    made = cloud.boot(BOTH_GPUS)
    yield made
    cloud.delete(made)
    books.check_nothing_left(before)


class TestKept:
    """One server for all: what was done to it before makes no difference."""

    @pytest.fixture(autouse=True)
    def nothing_is_left(self, server: str) -> None:
        """Here it is the server's own fixture that looks."""

    @pytest.mark.parametrize("operation", KEEPING)
    def test_a_server_keeps_its_cards_through(self, operation: str, cloud: Cloud, books: Books, server: str) -> None:
        before = books.check(server, cards=2)
        cards = books.cards(server)
        KEEPING[operation](cloud, server)
        assert books.check(server, cards=2) == before
        assert books.cards(server) == cards
        books.until_offered(cloud.host_of(server), GPU_TRAIT, so=False)

    @pytest.mark.parametrize("operation", REFUSED)
    def test_nova_refuses_and_changes_nothing(self, operation: str, cloud: Cloud, books: Books, server: str) -> None:
        before = books.check(server, cards=2)
        cloud.act(server, REFUSED[operation], user="admin", expect=400)
        assert books.check(server, cards=2) == before

    def test_traits_follow_the_cards_that_are_free(self, cloud: Cloud, books: Books, server: str) -> None:
        """The FPGA of the host, which shares its class with the GPUs, is offered on."""
        host = cloud.host_of(server)
        books.until_offered(host, GPU_TRAIT, so=False)
        books.until_offered(host, FPGA_TRAIT)
        other = cloud.boot(FPGA, host)
        books.check(other, cards=1)
        cloud.delete(other)


def test_a_shelved_server_gives_its_cards_back_and_gets_others(cloud: Cloud, books: Books) -> None:
    server = cloud.boot(BOTH_GPUS)
    before = books.check(server, cards=2)
    host = cloud.host_of(server)
    books.until_offered(host, GPU_TRAIT, so=False)
    cloud.act(server, {"shelve": None})
    cloud.until(server, "SHELVED_OFFLOADED")
    assert not cloud.requests(server)
    assert not books.allocated(server)
    books.until_offered(host, GPU_TRAIT)
    cloud.act(server, {"unshelve": None})
    cloud.until(server, "ACTIVE")
    assert not books.check(server, cards=2) & before
    cloud.delete(server)


def test_a_shelved_server_is_deleted(cloud: Cloud, books: Books) -> None:
    server = cloud.boot(FPGA)
    cloud.act(server, {"shelve": None})
    cloud.until(server, "SHELVED_OFFLOADED")
    cloud.delete(server)


def test_a_server_that_finds_no_card_any_more_stays_shelved(cloud: Cloud, books: Books) -> None:
    """Nova shows no fault; what it began with is given back."""
    shelved = cloud.boot(BOTH_GPUS)
    cloud.act(shelved, {"shelve": None})
    cloud.until(shelved, "SHELVED_OFFLOADED")
    others = [cloud.boot(BOTH_GPUS) for _ in cloud.hosts]
    cloud.act(shelved, {"unshelve": None})
    cloud.until(shelved, "SHELVED_OFFLOADED")
    assert not cloud.requests(shelved)
    assert not books.allocated(shelved)
    cloud.delete(others.pop())
    cloud.act(shelved, {"unshelve": None})
    cloud.until(shelved, "ACTIVE")
    books.check(shelved, cards=2)
    cloud.delete(shelved, *others)


def test_a_server_without_a_profile_has_nothing_of_ours(cloud: Cloud, books: Books) -> None:
    server = cloud.boot(PLAIN)
    books.check(server, cards=0)
    cloud.delete(server)


def test_the_requests_belong_to_the_project_of_the_server(cloud: Cloud) -> None:
    server = cloud.boot(FPGA)
    assert cloud.requests(server, user="alice")
    assert not cloud.requests(server, user="bob")
    cloud.delete(server)
