# SPDX-License-Identifier: Apache-2.0
"""While an idle host goes from one layout to the other, no card is offered twice: seen before every request.

What goes is taken away first. So for some requests a card is offered nowhere, which costs nobody anything; offered on
the compute node's provider and on its own at once, it would be promised to two servers.
"""

import contextlib
import itertools
from dataclasses import dataclass, field

import pytest
from oslo_config import cfg

from cyborg.domain import errors, inventory, names, view
from cyborg.domain.shape import Layout, Shape
from cyborg.placement.client import PlacementClient
from cyborg.placement.publisher import Publisher
from cyborg.tests.placement_fixture import PlacementFixture, Request
from cyborg.tests.unit.domain.test_layout_nested import GPU, ROOT, mixed

CLASS = view.GENERIC_CLASS
CARDS = 2
FLAT, NESTED = mixed(Shape(layout=Layout.COMPUTE_NODE)), mixed(Shape(layout=Layout.NESTED))
DIRECTIONS = pytest.mark.parametrize(("old", "new"), [(NESTED, FLAT), (FLAT, NESTED)], ids=["to flat", "to nested"])


@pytest.fixture(autouse=True)
def root(placement: PlacementFixture) -> str:
    return placement.create_provider("compute-1", uuid=ROOT, inventories={"VCPU": {"total": 8}})


def offers(placement: PlacementFixture) -> int:
    """Units that Placement would give away now, on all providers together."""
    return placement.open_units(CLASS)


@dataclass
class Watch:
    """``seen`` is what was offered before each request that changes something; after so many Placement is away."""

    placement: PlacementFixture
    answered: int | None = None
    seen: list[int] = field(default_factory=list)

    def __call__(self, request: Request) -> None:
        if not request.is_read:
            self.seen.append(offers(self.placement))
        self.placement.answer_with = "503 Busy" if self.is_over else None

    @property
    def is_over(self) -> bool:
        return self.answered is not None and len(self.seen) > self.answered


@DIRECTIONS
def test_no_card_is_offered_in_both_layouts_at_any_moment(
    placement: PlacementFixture, publisher: Publisher, old: inventory.Host, new: inventory.Host
) -> None:
    publisher.publish(view.view(old))
    placement.before = watch = Watch(placement)
    publisher.publish(view.view(new))
    assert max(watch.seen) == CARDS
    assert min(watch.seen) == 0, "what goes is gone before anything comes"
    assert offers(placement) == CARDS


@DIRECTIONS
def test_a_change_that_breaks_off_anywhere_and_is_taken_up_again_offers_no_card_twice(
    placement: PlacementFixture,
    client: PlacementClient,
    conf: cfg.ConfigOpts,
    old: inventory.Host,
    new: inventory.Host,
) -> None:
    Publisher(client, conf).publish(view.view(old))
    published = placement.save()
    for answered in itertools.count():
        placement.restore(published)
        placement.before = broken = Watch(placement, answered)
        with contextlib.suppress(errors.Unavailable):
            Publisher(client, conf).publish(view.view(new))
        placement.answer_with, placement.before = None, (whole := Watch(placement))
        Publisher(client, conf).publish(view.view(new))
        assert max([*broken.seen, *whole.seen, offers(placement)]) == CARDS, f"after {answered} changes"
        if not broken.is_over:
            break
    assert answered > CARDS


def test_a_claim_in_the_last_moment_leaves_its_card_closed_on_its_old_provider(
    placement: PlacementFixture, publisher: Publisher
) -> None:
    publisher.publish(view.view(NESTED))
    claimed: list[str] = []

    def claim(request: Request) -> None:
        if request.method == "DELETE" and not claimed:
            claimed.append(placement.claim(names.provider_uuid(GPU), {CLASS: 1}))

    placement.before = claim
    publisher.publish(view.view(FLAT))
    placement.release(claimed[0])
    assert offers(placement) == CARDS


def test_the_compute_node_offers_nothing_while_what_was_below_it_cannot_be_closed(
    placement: PlacementFixture, publisher: Publisher
) -> None:
    publisher.publish(view.view(NESTED))

    def refuse(request: Request) -> None:
        placement.answer_with = "403 Forbidden" if request.method == "DELETE" else None

    placement.before = refuse
    with pytest.raises(errors.PlacementError):
        publisher.publish(view.view(FLAT))
    assert offers(placement) == CARDS
    assert CLASS not in placement.inventories(ROOT)
