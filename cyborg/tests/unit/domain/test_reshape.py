# SPDX-License-Identifier: Apache-2.0
"""Which allocations move where when a host is shown in another shape."""

from collections.abc import Mapping

from cyborg.domain import arq, inventory, names, profile, reshape
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.tests.unit.domain.test_layout_nested import (
    GPU,
    NESTED,
    REGION,
    ROOT,
    TYPED,
    hold,
    memory_card,
    mixed,
    stored,
)

FLAT = Shape()
SERVER = "11111111-1111-4111-8111-111111111111"
GPU_UUID, REGION_UUID = names.provider_uuid(GPU), names.provider_uuid(REGION)
CORES = {"VCPU": 4}


def requests(host: inventory.Host, instance: str = SERVER, **resources: int) -> dict[str, arq.Arq]:
    group = profile.Group(resources={"CUSTOM_ACCELERATOR": 1, **resources})
    return {
        unit.holder: arq.Arq(
            uuid=unit.holder,
            project_id=None,
            state=arq.State.BOUND,
            profile_name="p",
            group_id=0,
            group=group,
            instance_uuid=instance,
        )
        for _, _, unit in host.units()
        if unit.holder
    }


def both_held(shape: Shape) -> inventory.Host:
    return hold(mixed(shape), "0000:3b:00.0", "0000:5e:00.0")


def moved(host: inventory.Host, to: Shape, allocations: Mapping[str, reshape.Allocations]) -> reshape.Plan:
    return reshape.plan(host, to, requests(host), allocations)


def test_the_part_that_is_ours_goes_to_the_carriers_and_the_rest_stays() -> None:
    plan = moved(both_held(FLAT), NESTED, {SERVER: {ROOT: {**CORES, "CUSTOM_ACCELERATOR": 2}, "other": {"DISK_GB": 9}}})
    (move,) = plan.moves
    assert move.after == {
        ROOT: CORES,
        GPU_UUID: {"CUSTOM_ACCELERATOR": 1},
        REGION_UUID: {"CUSTOM_ACCELERATOR": 1},
        "other": {"DISK_GB": 9},
    }
    assert set(plan.carriers.values()) == {GPU_UUID, REGION_UUID}
    assert plan.problems == ()


def test_there_and_back_is_what_it_was() -> None:
    flat = {SERVER: {ROOT: {**CORES, "CUSTOM_ACCELERATOR": 2}}}
    (there,) = moved(both_held(FLAT), TYPED, flat).moves
    assert there.after[GPU_UUID] == {"PGPU": 1}
    back = moved(both_held(TYPED), FLAT, {SERVER: there.after})
    assert {move.consumer: move.after for move in back.moves} == flat
    assert set(back.carriers.values()) == {ROOT}


def test_what_was_moved_already_is_no_move() -> None:
    (move,) = moved(both_held(FLAT), NESTED, {SERVER: {ROOT: {**CORES, "CUSTOM_ACCELERATOR": 2}}}).moves
    again = moved(both_held(FLAT), NESTED, {SERVER: move.after})
    assert (again.moves, again.problems) == ((), ())
    assert set(again.carriers.values()) == {GPU_UUID, REGION_UUID}


def test_a_consumer_with_another_number_of_requests_is_in_the_way() -> None:
    for host in (mixed(FLAT), hold(mixed(FLAT), "0000:3b:00.0")):
        plan = moved(host, NESTED, {SERVER: {ROOT: {"CUSTOM_ACCELERATOR": 2}}})
        assert len(plan.problems) == 1
        assert SERVER in plan.problems[0]
        assert plan.moves == ()


def test_consumers_of_other_things_are_not_looked_at() -> None:
    plan = moved(mixed(FLAT), NESTED, {SERVER: {ROOT: {**CORES, "CUSTOM_OTHER": 2}}})
    assert (plan.moves, plan.problems) == ((), ())


def test_memory_comes_with_the_nested_layout_and_goes_without_it() -> None:
    host = hold(stored(memory_card(4096), shape=FLAT), "0000:3b:00.0")
    asked = requests(host, CUSTOM_ACCELERATOR_MEMORY_GPU=2048)
    (there,) = reshape.plan(host, NESTED, asked, {SERVER: {ROOT: {"CUSTOM_ACCELERATOR": 1}}}).moves
    assert there.after == {GPU_UUID: {"CUSTOM_ACCELERATOR": 1, "CUSTOM_ACCELERATOR_MEMORY_GPU": 2048}}
    nested = hold(stored(memory_card(4096)), "0000:3b:00.0")
    (back,) = reshape.plan(
        nested, FLAT, requests(nested, CUSTOM_ACCELERATOR_MEMORY_GPU=2048), {SERVER: there.after}
    ).moves
    assert back.after == {ROOT: {"CUSTOM_ACCELERATOR": 1}}


def test_a_change_of_naming_alone_moves_too() -> None:
    plan = moved(
        both_held(NESTED),
        Shape(layout=Layout.NESTED, naming=Naming.TYPED),
        {SERVER: {GPU_UUID: {"CUSTOM_ACCELERATOR": 1}, REGION_UUID: {"CUSTOM_ACCELERATOR": 1}}},
    )
    assert plan.moves[0].after == {GPU_UUID: {"PGPU": 1}, REGION_UUID: {"FPGA": 1}}
