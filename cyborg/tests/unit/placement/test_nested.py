# SPDX-License-Identifier: Apache-2.0
"""A provider for each deployable below the compute node's: exact, cheap, and never in anybody's way."""

import dataclasses
import logging
import time
from collections.abc import Iterable
from urllib import parse

import pytest
from oslo_config import cfg

from cyborg.domain import errors, inventory, names, view
from cyborg.domain.shape import Shape
from cyborg.placement.client import PlacementClient
from cyborg.placement.publisher import Publisher
from cyborg.tests import builders
from cyborg.tests.placement_fixture import PlacementFixture, Request
from cyborg.tests.unit.domain.test_layout_nested import CARD, GPU, REGION, ROOT, TYPED, hold, memory_card, mixed, stored

CLASS = view.GENERIC_CLASS
GPU_UUID, CARD_UUID, REGION_UUID = (names.provider_uuid(name) for name in (GPU, CARD, REGION))


@pytest.fixture(autouse=True)
def root(placement: PlacementFixture) -> str:
    return placement.create_provider("compute-1", uuid=ROOT, inventories={"VCPU": {"total": 8}})


def writes(placement: PlacementFixture) -> list[Request]:
    return [request for request in placement.log if not request.is_read]


def tree(placement: PlacementFixture) -> dict[str, str | None]:
    """Parent by uuid, of everything below the compute node."""
    found = placement.request("GET", f"/resource_providers?in_tree={ROOT}")["resource_providers"]
    return {one["uuid"]: one["parent_provider_uuid"] for one in found if one["uuid"] != ROOT}


def candidates(placement: PlacementFixture, *groups: Iterable[str], policy: str = "none") -> list[dict[str, list[str]]]:
    """What Placement offers for one accelerator with these traits per group, as Nova asks: provider by group."""
    query = {"group_policy": policy}
    for number, group in enumerate(groups):
        rules = [f"!{trait[1:]}" if trait.startswith("!") else trait for trait in group]
        placement._made(trait.lstrip("!") for trait in group)
        query[f"resources_{number}"] = f"{CLASS}:1"
        if rules:
            query[f"required_{number}"] = ",".join(rules)
    found = placement.request("GET", f"/allocation_candidates?{parse.urlencode(query)}")["allocation_requests"]
    return [{name: list(providers) for name, providers in one["mappings"].items()} for one in found]


def offered(placement: PlacementFixture, *traits: str) -> set[str]:
    return {one["_0"][0] for one in candidates(placement, traits)}


def switched_off(host: inventory.Host) -> inventory.Host:
    status = inventory.DeviceStatus.MAINTAINING
    return dataclasses.replace(
        host, devices=tuple(dataclasses.replace(device, status=status) for device in host.devices)
    )


def test_providers_are_made_below_their_parents_with_inventory_and_traits(
    placement: PlacementFixture, publisher: Publisher
) -> None:
    publisher.publish(view.view(mixed()))
    assert tree(placement) == {GPU_UUID: ROOT, CARD_UUID: ROOT, REGION_UUID: CARD_UUID}
    assert placement.inventories(GPU_UUID)[CLASS]["total"] == 1
    assert placement.inventories(CARD_UUID) == {}
    assert placement.traits(GPU_UUID) == builders.GPU_TRAITS | {"OWNER_CYBORG"}
    assert set(placement.inventories(ROOT)) == {"VCPU"}
    assert placement.traits(ROOT) == set()


def test_an_unchanged_view_costs_one_read_however_many_providers(
    placement: PlacementFixture, publisher: Publisher, client: PlacementClient
) -> None:
    wanted = view.view(stored(*[builders.gpu(f"0000:{bus:02x}:00.0") for bus in range(1, 9)]))
    publisher.publish(wanted)
    placement.log.clear()
    publisher.publish(wanted)
    assert placement.log == [Request("GET", f"/resource_providers?in_tree={ROOT}")]


def test_a_new_publisher_writes_nothing_where_everything_is_right(
    placement: PlacementFixture, client: PlacementClient, conf: cfg.ConfigOpts, publisher: Publisher
) -> None:
    publisher.publish(view.view(mixed()))
    placement.log.clear()
    Publisher(client, conf).publish(view.view(mixed()))
    assert writes(placement) == []


def test_a_claim_is_read_again_on_that_provider_alone(placement: PlacementFixture, publisher: Publisher) -> None:
    publisher.publish(view.view(mixed()))
    placement.claim(GPU_UUID, {CLASS: 1})
    placement.log.clear()
    publisher.publish(view.view(hold(mixed(), "0000:3b:00.0")))
    assert writes(placement) == []
    assert len(placement.log) == 3


def test_a_mixed_host_is_exact(placement: PlacementFixture, publisher: Publisher) -> None:
    publisher.publish(view.view(mixed()))
    assert offered(placement, "CUSTOM_GPU") == {GPU_UUID}
    assert offered(placement, "CUSTOM_FPGA") == {REGION_UUID}
    assert offered(placement) == {GPU_UUID, REGION_UUID}
    placement.claim(GPU_UUID, {CLASS: 1})
    assert offered(placement, "CUSTOM_GPU") == set(), "at once, without any report"
    assert offered(placement, "CUSTOM_FPGA") == {REGION_UUID}
    assert candidates(placement, ["CUSTOM_GPU"], ["CUSTOM_GPU"]) == []


def test_isolated_groups_find_the_host(placement: PlacementFixture, publisher: Publisher) -> None:
    publisher.publish(view.view(mixed()))
    assert candidates(placement, ["CUSTOM_GPU"], ["CUSTOM_FPGA"], policy="isolate") == [
        {"_0": [GPU_UUID], "_1": [REGION_UUID]}
    ]
    assert candidates(placement, ["CUSTOM_GPU"], ["CUSTOM_GPU"], policy="isolate") == []


def test_no_candidate_is_wrong_at_any_moment_of_the_first_publish(
    placement: PlacementFixture, publisher: Publisher
) -> None:
    """Before each request: who does not want an FPGA is never offered one, whichever half is there."""
    placement.request("PUT", f"/resource_classes/{CLASS}")
    seen: list[tuple[set[str], set[str]]] = []
    placement.before = lambda _: seen.append((offered(placement, "!CUSTOM_FPGA"), offered(placement, "!CUSTOM_GPU")))
    publisher.publish(view.view(mixed()))
    placement.before = lambda _: None
    assert len(seen) > 8
    assert all(no_fpga <= {GPU_UUID} and no_gpu <= {REGION_UUID} for no_fpga, no_gpu in seen)


def test_what_is_switched_off_is_closed_and_opens_again(placement: PlacementFixture, publisher: Publisher) -> None:
    publisher.publish(view.view(switched_off(mixed())))
    assert offered(placement) == set()
    assert placement.traits(GPU_UUID) >= builders.GPU_TRAITS
    publisher.publish(view.view(mixed()))
    assert offered(placement) == {GPU_UUID, REGION_UUID}


def test_a_held_card_that_is_switched_off_stays_with_its_consumer_and_is_closed_on_release(
    placement: PlacementFixture, publisher: Publisher
) -> None:
    publisher.publish(view.view(mixed()))
    consumer = placement.claim(GPU_UUID, {CLASS: 1})
    publisher.publish(view.view(switched_off(hold(mixed(), "0000:3b:00.0"))))
    assert placement.inventories(GPU_UUID)[CLASS]["reserved"] == 0
    placement.release(consumer)
    publisher.publish(view.view(switched_off(mixed())))
    assert offered(placement, "CUSTOM_GPU") == set()


def test_memory_decides_among_cards(placement: PlacementFixture, publisher: Publisher) -> None:
    publisher.publish(view.view(stored(memory_card(4096, units=2))))
    memory = "CUSTOM_ACCELERATOR_MEMORY_GPU"
    assert placement.candidates({CLASS: 1, memory: 4096}) == {GPU_UUID}
    assert placement.candidates({CLASS: 1, memory: 4097}) == set()
    placement.claim(GPU_UUID, {CLASS: 1, memory: 100})
    assert placement.candidates({CLASS: 1, memory: 4096}) == {GPU_UUID}
    placement.claim(GPU_UUID, {CLASS: 1})
    assert placement.candidates({CLASS: 1, memory: 1}) == set()


def test_typed_classes_are_those_of_existing_profiles(placement: PlacementFixture, publisher: Publisher) -> None:
    publisher.publish(view.view(mixed(TYPED)))
    assert set(placement.inventories(GPU_UUID)) == {"PGPU"}
    assert set(placement.inventories(REGION_UUID)) == {"FPGA"}


def test_a_provider_of_an_earlier_cyborg_is_adopted_with_its_allocations(
    placement: PlacementFixture, publisher: Publisher
) -> None:
    body = {"name": GPU, "uuid": GPU_UUID, "parent_provider_uuid": ROOT}
    placement.request("POST", "/resource_providers", body)
    placement.put_inventories(GPU_UUID, {"PGPU": {"total": 1, "max_unit": 1}})
    placement.put_traits(GPU_UUID, ["OWNER_CYBORG", "CUSTOM_NVIDIA_20F1"])
    placement.claim(GPU_UUID, {"PGPU": 1})
    placement.log.clear()
    publisher.publish(view.view(mixed(TYPED)))
    assert placement.usages(GPU_UUID) == {"PGPU": 1}
    assert placement.traits(GPU_UUID) == builders.GPU_TRAITS | {"OWNER_CYBORG", "CUSTOM_NVIDIA_20F1"}
    assert Request("POST", "/resource_providers") in writes(placement), "the FPGA"
    assert not [one for one in writes(placement) if one.path.endswith(f"{GPU_UUID}/inventories/PGPU")]


def test_another_class_on_an_adopted_provider_goes_or_is_closed(
    placement: PlacementFixture, publisher: Publisher
) -> None:
    publisher.publish(view.view(mixed(TYPED)))
    consumer = placement.claim(GPU_UUID, {"PGPU": 1})
    publisher.publish(view.view(mixed()))
    assert placement.inventories(GPU_UUID)["PGPU"]["reserved"] == 1
    assert set(placement.inventories(REGION_UUID)) == {CLASS}
    placement.release(consumer)
    publisher.publish(view.view(mixed()))
    assert set(placement.inventories(GPU_UUID)) == {CLASS}


def test_a_namesake_of_ours_with_another_uuid_makes_way(placement: PlacementFixture, publisher: Publisher) -> None:
    body = {"name": GPU, "parent_provider_uuid": ROOT}
    old = placement.request("POST", "/resource_providers", body)["uuid"]
    placement.put_inventories(old, {"PGPU": {"total": 1}})
    placement.put_traits(old, ["OWNER_CYBORG"])
    publisher.publish(view.view(mixed()))
    assert placement.inventories(GPU_UUID)[CLASS]["total"] == 1
    publisher.publish(view.view(mixed()))
    assert placement.inventories(old) == {}


def test_a_provider_that_nova_made_of_the_same_card_is_left_alone_and_named(
    placement: PlacementFixture, publisher: Publisher
) -> None:
    body = {"name": GPU, "parent_provider_uuid": ROOT}
    novas = placement.request("POST", "/resource_providers", body)["uuid"]
    placement.put_inventories(novas, {"CUSTOM_PCI_10DE_20F1": {"total": 1}})
    placement.put_traits(novas, ["OWNER_NOVA"])
    before = placement.generation(novas)
    with pytest.raises(errors.Conflict, match=f"{GPU}.*{novas}.*device_spec"):
        publisher.publish(view.view(mixed()))
    assert placement.generation(novas) == before
    assert offered(placement) == {REGION_UUID}, "one that cannot be made does not keep the others back"


def test_a_deployable_that_goes_loses_its_inventory_at_once_and_its_provider_stays(
    placement: PlacementFixture, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cyborg.placement")
    publisher.publish(view.view(mixed()))
    for _ in range(3):
        publisher.publish(view.view(stored(builders.gpu())))
    assert placement.inventories(REGION_UUID) == {}
    assert {CARD_UUID, REGION_UUID} <= set(tree(placement))
    assert [line for line in caplog.messages if "is retired" in line] == [f"Provider {REGION} is retired"]
    publisher.publish(view.view(mixed()))
    assert offered(placement, "CUSTOM_FPGA") == {REGION_UUID}


def test_a_retired_provider_in_use_is_closed_and_emptied_after_the_release(
    placement: PlacementFixture, publisher: Publisher
) -> None:
    publisher.publish(view.view(mixed()))
    consumer = placement.claim(REGION_UUID, {CLASS: 1})
    publisher.publish(view.view(stored(builders.gpu())))
    assert placement.inventories(REGION_UUID)[CLASS]["reserved"] == 1
    placement.release(consumer)
    publisher.publish(view.view(stored(builders.gpu())))
    assert placement.inventories(REGION_UUID) == {}


def test_after_the_grace_time_a_retired_provider_is_deleted_whoever_retired_it(
    placement: PlacementFixture, client: PlacementClient, conf: cfg.ConfigOpts, publisher: Publisher
) -> None:
    conf.set_override("provider_grace_time", 2, group="placement")
    publisher.publish(view.view(mixed()))
    Publisher(client, conf).publish(view.view(stored(builders.gpu())))
    another = Publisher(client, conf)
    another.publish(view.view(stored(builders.gpu())))
    assert {CARD_UUID, REGION_UUID} <= set(tree(placement))
    placement.log.clear()
    another.publish(view.view(stored(builders.gpu())))
    assert len(placement.log) == 1, "a retired provider is looked at once"
    time.sleep(3.1)
    Publisher(client, conf).publish(view.view(stored(builders.gpu())))
    Publisher(client, conf).publish(view.view(stored(builders.gpu())))
    assert set(tree(placement)) == {GPU_UUID}


def test_a_grace_time_of_minus_one_keeps_it(
    placement: PlacementFixture, client: PlacementClient, conf: cfg.ConfigOpts
) -> None:
    conf.set_override("provider_grace_time", -1, group="placement")
    publisher = Publisher(client, conf)
    for host in (mixed(), stored(), stored()):
        publisher.publish(view.view(host))
    assert set(tree(placement)) == {GPU_UUID, CARD_UUID, REGION_UUID}


def test_somebody_elses_child_is_never_touched(
    placement: PlacementFixture, client: PlacementClient, conf: cfg.ConfigOpts
) -> None:
    conf.set_override("provider_grace_time", 0, group="placement")
    foreign = placement.request("POST", "/resource_providers", {"name": "vgpus", "parent_provider_uuid": ROOT})["uuid"]
    placement.put_inventories(foreign, {"VGPU": {"total": 8}})
    before = placement.generation(foreign)
    publisher = Publisher(client, conf)
    for host in (mixed(), stored(), stored()):
        publisher.publish(view.view(host))
    assert placement.generation(foreign) == before
    placement.log.clear()
    publisher.publish(view.view(stored()))
    assert len(placement.log) == 1


@pytest.mark.parametrize("damage", ["inventory", "traits", "provider"])
def test_what_somebody_wiped_is_there_again(placement: PlacementFixture, publisher: Publisher, damage: str) -> None:
    publisher.publish(view.view(mixed()))
    if damage in {"inventory", "provider"}:
        placement.put_inventories(GPU_UUID, {})
    if damage == "traits":
        placement.put_traits(GPU_UUID, [])
    if damage == "provider":
        placement.delete_provider(GPU_UUID)
    publisher.publish(view.view(mixed()))
    assert offered(placement, "CUSTOM_GPU") == {GPU_UUID}


def test_an_idle_host_changes_its_layout_and_takes_the_old_ones_inventory_away(
    placement: PlacementFixture, publisher: Publisher
) -> None:
    flat = mixed(Shape())
    publisher.publish(view.view(flat))
    assert placement.candidates({CLASS: 1}, ["CUSTOM_GPU"]) == {ROOT}
    publisher.publish(view.view(mixed()))
    assert set(placement.inventories(ROOT)) == {"VCPU"}
    assert placement.traits(ROOT) == set()
    assert offered(placement, "CUSTOM_GPU") == {GPU_UUID}
    publisher.publish(view.view(flat))
    assert offered(placement) == {ROOT}


@pytest.mark.parametrize("shape", [Shape(), mixed().shape])
def test_a_host_is_idle_when_nobody_holds_anything_of_ours(
    placement: PlacementFixture, publisher: Publisher, shape: Shape
) -> None:
    shown = view.view(mixed(shape))
    publisher.publish(shown)
    placement.claim(ROOT, {"VCPU": 1})
    assert publisher.is_idle(shown)
    consumer = placement.claim(ROOT if shape == Shape() else REGION_UUID, {CLASS: 1})
    assert not publisher.is_idle(shown)
    placement.release(consumer)
    assert publisher.is_idle(shown)
