# SPDX-License-Identifier: Apache-2.0
"""Placement becomes equal to the view, and nothing else on the provider changes."""

import logging

import pytest
from oslo_config import cfg

from cyborg.domain import errors
from cyborg.placement.client import GenerationConflict, PlacementClient
from cyborg.placement.publisher import ATTEMPTS, Publisher
from cyborg.tests.placement_fixture import PlacementFixture, Request
from cyborg.tests.unit.placement.builders import CLASS, FPGA, GPU, HOST, host_view


@pytest.fixture
def provider(placement: PlacementFixture) -> str:
    """A provider that nova-compute does not manage, with something of somebody else's on it."""
    return placement.create_provider(HOST, inventories={"CUSTOM_OTHER": {"total": 5}}, traits=["CUSTOM_FOREIGN"])


def writes(placement: PlacementFixture) -> list[Request]:
    return [request for request in placement.log if not request.is_read]


def changes(placement: PlacementFixture) -> list[str]:
    """What of a provider was written, in order."""
    paths = [request.path for request in writes(placement)]
    return [path.rsplit("/", 1)[1] for path in paths if path.startswith("/resource_providers/")]


def test_a_provider_is_found_by_the_first_name_it_has(placement: PlacementFixture, publisher: Publisher) -> None:
    uuid = placement.create_provider("compute & more")
    assert publisher.find_provider(["unknown", "compute & more"]) == uuid
    assert publisher.find_provider(["unknown"]) is None


def test_class_and_traits_appear_beside_what_others_have_there(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    publisher.publish(host_view(provider, 3, 1, shown=GPU | FPGA))
    inventories = placement.inventories(provider)
    assert inventories[CLASS] == {
        "total": 3, "reserved": 1, "min_unit": 1, "max_unit": 3, "step_size": 1, "allocation_ratio": 1.0,
    }  # fmt: skip
    assert inventories["CUSTOM_OTHER"]["total"] == 5
    assert placement.traits(provider) == {"CUSTOM_FOREIGN", *GPU, *FPGA}


def test_a_mixed_host_loses_the_traits_of_the_card_that_was_taken_and_gets_them_back(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    publisher.publish(host_view(provider, 2, shown=GPU | FPGA))
    assert placement.candidates({CLASS: 1}, ["CUSTOM_GPU"]) == {provider}
    holder = placement.claim(provider, {CLASS: 1})
    publisher.publish(host_view(provider, 2, shown=FPGA, withdrawn=GPU, generation=2))
    assert placement.traits(provider) == {"CUSTOM_FOREIGN", *FPGA}
    assert placement.candidates({CLASS: 1}, ["CUSTOM_GPU"]) == set()
    assert placement.candidates({CLASS: 1}, ["CUSTOM_FPGA"]) == {provider}
    placement.release(holder)
    publisher.publish(host_view(provider, 2, shown=GPU | FPGA, generation=3))
    assert placement.candidates({CLASS: 1}, ["CUSTOM_GPU"]) == {provider}


def test_an_unchanged_view_costs_one_read(
    placement: PlacementFixture, publisher: Publisher, client: PlacementClient, provider: str
) -> None:
    wanted = host_view(provider, 2, shown=GPU)
    publisher.publish(wanted)
    placement.log.clear()
    before = client.requests
    publisher.publish(wanted)
    assert placement.log == [Request("GET", f"/resource_providers?in_tree={provider}")]
    assert client.requests == before + 1


def test_a_claim_by_somebody_else_costs_two_more_reads_and_no_write(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    wanted = host_view(provider, 2, shown=GPU)
    publisher.publish(wanted)
    placement.claim(provider, {CLASS: 1})
    placement.log.clear()
    publisher.publish(wanted)
    assert [request.method for request in placement.log] == ["GET"] * 3


def test_a_change_of_traits_is_one_write(placement: PlacementFixture, publisher: Publisher, provider: str) -> None:
    publisher.publish(host_view(provider, 2, shown=GPU | FPGA))
    placement.log.clear()
    publisher.publish(host_view(provider, 2, shown=FPGA, withdrawn=GPU, generation=2))
    assert writes(placement) == [Request("PUT", f"/resource_providers/{provider}/traits")]
    assert len(placement.log) == 2


def test_inventory_is_there_before_the_traits_that_lead_to_it(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    publisher.publish(host_view(provider, 1, 1, withdrawn=GPU))
    placement.log.clear()
    publisher.publish(host_view(provider, 1, 0, shown=GPU))
    assert changes(placement) == [CLASS, "traits"]


def test_traits_are_gone_before_the_inventory_behind_them(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    publisher.publish(host_view(provider, 1, 0, shown=GPU))
    placement.log.clear()
    publisher.publish(host_view(provider, 1, 1, withdrawn=GPU))
    assert changes(placement) == ["traits", CLASS]


def test_a_card_that_replaces_another_is_never_offered_under_the_traits_of_the_other(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    publisher.publish(host_view(provider, 2, 1, shown=GPU))
    seen: list[tuple[set[str], int]] = []

    def look(_request: Request) -> None:
        seen.append((placement.traits(provider), placement.inventories(provider)[CLASS]["reserved"]))

    placement.before = look
    publisher.publish(host_view(provider, 2, 0, shown=FPGA, withdrawn=GPU))
    placement.before = lambda _: None
    assert all(reserved == 1 for traits, reserved in seen if traits & GPU)
    assert placement.traits(provider) == {"CUSTOM_FOREIGN", *FPGA}


@pytest.mark.parametrize("wiped", ["inventory", "traits", "both", "reserved"])
def test_what_somebody_wiped_is_there_again_after_the_next_publish(
    placement: PlacementFixture, publisher: Publisher, provider: str, wiped: str
) -> None:
    wanted = host_view(provider, 2, 1, shown=GPU)
    publisher.publish(wanted)
    good = (placement.inventories(provider), placement.traits(provider))
    if wiped in {"inventory", "both"}:
        placement.put_inventories(provider, {"CUSTOM_OTHER": {"total": 5}})
    if wiped in {"traits", "both"}:
        placement.put_traits(provider, ["CUSTOM_FOREIGN"])
    if wiped == "reserved":
        placement.put_inventories(provider, {"CUSTOM_OTHER": {"total": 5}, CLASS: {"total": 2}})
    assert (placement.inventories(provider), placement.traits(provider)) != good
    publisher.publish(wanted)
    assert (placement.inventories(provider), placement.traits(provider)) == good


def test_a_trait_of_ours_that_appears_behind_our_back_goes_and_a_foreign_one_stays(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    wanted = host_view(provider, 2, shown=FPGA, withdrawn=GPU)
    publisher.publish(wanted)
    placement.put_traits(provider, {*FPGA, *GPU, "CUSTOM_FOREIGN", "CUSTOM_LATER"})
    publisher.publish(wanted)
    assert placement.traits(provider) == {*FPGA, "CUSTOM_FOREIGN", "CUSTOM_LATER"}


@pytest.mark.parametrize("path", ["inventories", "traits", CLASS])
def test_a_writer_between_our_read_and_our_write_is_not_undone(
    placement: PlacementFixture, publisher: Publisher, provider: str, path: str
) -> None:
    publisher.publish(host_view(provider, 1, shown=GPU))
    if path == "inventories":
        placement.put_inventories(provider, {"CUSTOM_OTHER": {"total": 5}})
    interferences = iter([True])

    def interfere(request: Request) -> None:
        if not request.is_read and request.path.endswith(path) and next(interferences, False):
            kept = placement.inventories(provider)
            placement.put_inventories(provider, kept | {"CUSTOM_OTHER": {"total": 6}})
            placement.put_traits(provider, placement.traits(provider) | {"CUSTOM_LATER"})

    placement.before = interfere
    publisher.publish(host_view(provider, 3, shown=GPU | FPGA))
    assert next(interferences, None) is None, "nobody interfered"
    assert placement.inventories(provider)["CUSTOM_OTHER"]["total"] == 6
    assert placement.inventories(provider)[CLASS]["total"] == 3
    assert placement.traits(provider) == {"CUSTOM_FOREIGN", "CUSTOM_LATER", *GPU, *FPGA}


def test_a_change_between_the_two_reads_is_read_again(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    interferences = iter([True])

    def interfere(request: Request) -> None:
        if request.is_read and request.path.endswith("/traits") and next(interferences, False):
            placement.put_traits(provider, ["CUSTOM_LATER"])

    placement.before = interfere
    publisher.publish(host_view(provider, 1, shown=GPU))
    assert placement.traits(provider) == {"CUSTOM_LATER", *GPU}


def test_a_writer_that_never_rests_is_given_up(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    placement.before = lambda request: (
        None if request.is_read else placement.put_inventories(provider, {"CUSTOM_OTHER": {"total": 5}})
    )
    publisher.publish(host_view(provider, 0))
    placement.put_traits(provider, ["CUSTOM_FOREIGN", *GPU])
    placement.log.clear()
    with pytest.raises(GenerationConflict):
        publisher.publish(host_view(provider, 0, withdrawn=GPU))
    assert len(writes(placement)) == ATTEMPTS


def test_a_trait_that_somebody_deleted_since_we_made_it_is_made_again(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    publisher.publish(host_view(provider, 1, shown=GPU))
    publisher.publish(host_view(provider, 1, withdrawn=GPU))
    for name in GPU:
        placement.request("DELETE", f"/traits/{name}")
    publisher.publish(host_view(provider, 1, shown=GPU))
    assert placement.traits(provider) == {"CUSTOM_FOREIGN", *GPU}


def test_the_class_goes_with_the_last_unit(placement: PlacementFixture, publisher: Publisher, provider: str) -> None:
    publisher.publish(host_view(provider, 1, shown=GPU))
    publisher.publish(host_view(provider, 0, withdrawn=GPU))
    assert set(placement.inventories(provider)) == {"CUSTOM_OTHER"}
    placement.log.clear()
    publisher.publish(host_view(provider, 0, withdrawn=GPU))
    assert writes(placement) == []


def test_a_host_without_accelerators_is_not_touched(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    publisher.publish(host_view(provider, 0))
    assert writes(placement) == []


def test_a_class_in_use_is_closed_and_goes_when_the_last_consumer_has_left(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    publisher.publish(host_view(provider, 2, shown=GPU))
    holder = placement.claim(provider, {CLASS: 1})
    for _ in range(2):
        publisher.publish(host_view(provider, 0, withdrawn=GPU))
        inventory = placement.inventories(provider)[CLASS]
        assert (inventory["total"], inventory["reserved"]) == (2, 2)
    placement.log.clear()
    publisher.publish(host_view(provider, 0, withdrawn=GPU))
    assert writes(placement) == []
    placement.claim(provider, {CLASS: 1}, expect=409)
    placement.release(holder)
    publisher.publish(host_view(provider, 0, withdrawn=GPU))
    assert CLASS not in placement.inventories(provider)


def test_a_claim_in_the_moment_of_removal_keeps_the_class(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    publisher.publish(host_view(provider, 1))

    def claim(request: Request) -> None:
        if request.method == "DELETE" and not placement.usages(provider).get(CLASS):
            placement.claim(provider, {CLASS: 1})

    placement.before = claim
    publisher.publish(host_view(provider, 0))
    assert placement.inventories(provider)[CLASS]["reserved"] == 1


def test_a_total_may_shrink_below_what_is_used(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    publisher.publish(host_view(provider, 3))
    placement.claim(provider, {CLASS: 3})
    publisher.publish(host_view(provider, 2))
    assert placement.inventories(provider)[CLASS]["total"] == 2
    assert placement.usages(provider)[CLASS] == 3
    placement.claim(provider, {CLASS: 1}, expect=409)


def test_a_provider_that_is_gone_is_not_found(placement: PlacementFixture, publisher: Publisher) -> None:
    provider = placement.create_provider("gone")
    publisher.publish(host_view(provider, 0))
    placement.delete_provider(provider)
    with pytest.raises(errors.NotFound, match=provider):
        publisher.publish(host_view(provider, 0))


def test_a_publish_that_broke_in_the_middle_is_completed_by_the_next(
    placement: PlacementFixture, publisher: Publisher, provider: str
) -> None:
    def fail(request: Request) -> None:
        placement.answer_with = "503 Busy" if request.method == "PUT" and request.path.endswith("traits") else None

    placement.before = fail
    with pytest.raises(errors.Unavailable):
        publisher.publish(host_view(provider, 1, shown=GPU))
    placement.before, placement.answer_with = (lambda _: None), None
    publisher.publish(host_view(provider, 1, shown=GPU))
    assert placement.traits(provider) >= GPU


def test_one_line_says_what_changed(publisher: Publisher, provider: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "cyborg.placement"):
        publisher.publish(host_view(provider, 2, shown=["CUSTOM_GPU"]))
        publisher.publish(host_view(provider, 2, withdrawn=["CUSTOM_GPU"]))
        publisher.publish(host_view(provider, 2, withdrawn=["CUSTOM_GPU"]))
        publisher.publish(host_view(provider, 0))
    assert [record.message for record in caplog.records if record.name.startswith("cyborg.")] == [
        f"Provider {HOST}: {CLASS} total 2 reserved 0; traits +CUSTOM_GPU",
        f"Provider {HOST}: traits -CUSTOM_GPU",
        f"Provider {HOST}: {CLASS} removed",
    ]


def test_owner_nova_never_writes_inventory_even_where_nova_has_not_come_yet(
    placement: PlacementFixture, client: PlacementClient, conf: cfg.ConfigOpts, provider: str
) -> None:
    conf.set_override("inventory_owner", "nova", group="placement")
    Publisher(client, conf).publish(host_view(provider, 2, shown=GPU))
    assert writes(placement) == []
