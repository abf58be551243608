# SPDX-License-Identifier: Apache-2.0
"""Which accelerator a request gets."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyborg.domain import choice, errors, flow, inventory, profile, reconcile, report

GPU = frozenset({"CUSTOM_GPU", "CUSTOM_GPU_NVIDIA"})
FPGA = frozenset({"CUSTOM_FPGA", "CUSTOM_FPGA_INTEL"})


def device(
    name: str, traits: frozenset[str], *, unit: dict[str, object] | None = None, **changes: object
) -> inventory.Device:
    """``unit`` are members of its accelerator."""
    values: dict[str, Any] = {"uuid": f"unit-{name}", "key": "pf", "type": report.HandleType.PCI, "info": {}}
    only = inventory.Accelerator(**values | (unit or {}))
    part = inventory.Deployable(
        uuid=f"part-{name}", key="", name=name, resource_class="PGPU", traits=traits, accelerators=(only,)
    )
    made = inventory.Device(
        uuid=f"device-{name}",
        driver="fake_driver",
        address=name,
        type=report.DeviceType.GPU,
        vendor="10de",
        model="26b9",
        deployables=(part,),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def host(*devices: inventory.Device) -> inventory.Host:
    return inventory.Host(name="host-1", devices=devices)


def released(of: inventory.Host, *holders: str) -> inventory.Host:
    """As it is when nothing has to be done to what they held."""
    after, work = flow.take_back(of, holders, reconcile.new_uuid)
    assert not work
    return after


def want(name: str, *required: str, forbidden: tuple[str, ...] = ()) -> choice.Want:
    rules = dict.fromkeys(required, profile.TraitRule.REQUIRED) | dict.fromkeys(forbidden, profile.TraitRule.FORBIDDEN)
    return choice.Want(arq_uuid=name, group=profile.Group(resources={"CUSTOM_ACCELERATOR": 1}, traits=rules))


def chosen(of: inventory.Host, *wants: choice.Want) -> dict[str, str]:
    return {name: unit.uuid for name, unit in choice.choose(of, wants).items()}


def test_a_request_gets_the_card_that_has_its_traits_and_never_its_neighbour() -> None:
    mixed = host(device("a", FPGA), device("b", GPU))
    assert chosen(mixed, want("r", "CUSTOM_GPU_NVIDIA")) == {"r": "unit-b"}
    assert chosen(mixed, want("r", "CUSTOM_FPGA")) == {"r": "unit-a"}
    assert chosen(mixed, want("r", forbidden=("CUSTOM_FPGA",))) == {"r": "unit-b"}


def test_any_accelerator_takes_the_kind_of_which_most_are_free() -> None:
    assert chosen(host(device("a", FPGA), device("b", GPU), device("c", GPU)), want("any")) == {"any": "unit-b"}


def test_a_coarse_request_gives_way_to_a_finer_one_in_the_same_call() -> None:
    rare = GPU | {"CUSTOM_GPU_NVIDIA_RARE"}
    mixed = host(device("a", rare), device("b", FPGA))
    assert chosen(mixed, want("1-any"), want("2-fine", "CUSTOM_GPU_NVIDIA_RARE")) == {
        "1-any": "unit-b",
        "2-fine": "unit-a",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"status": inventory.DeviceStatus.MAINTAINING},
        {"health": report.Health.FAILED},
        {"absences": 1},
        {"unit": {"work": "w"}},
        {"unit": {"work": "w", "holder": "somebody"}},
        {"unit": {"work": "w", "quarantine": "it does not answer"}},
    ],
)
def test_a_disabled_failed_absent_or_unclean_card_is_not_handed_out(changes: dict[str, Any]) -> None:
    with pytest.raises(errors.NoAccelerator):
        choice.choose(host(device("a", GPU, **changes)), [want("r")])


def test_all_or_none_and_the_message_has_the_numbers() -> None:
    with pytest.raises(errors.NoAccelerator, match=r"cannot serve 2 accelerator\(s\).*1 free"):
        choice.claim(host(device("a", GPU)), [want("r1"), want("r2")])


def test_a_claim_is_undone_by_its_release() -> None:
    before = host(device("a", GPU), device("b", FPGA))
    after, units = choice.claim(before, [want("r", "CUSTOM_FPGA")])
    assert units["r"].uuid == "unit-b"
    assert [unit.holder for _, _, unit in after.units()] == [None, "r"]
    assert released(after, "r") == before


def test_the_release_of_a_missing_card_forgets_it() -> None:
    after, _ = choice.claim(host(device("a", GPU), device("b", FPGA)), [want("r", "CUSTOM_FPGA")])
    gone = after.map_accelerators(lambda unit: dataclasses.replace(unit, missing=unit.holder is not None))
    gone = dataclasses.replace(gone, devices=(gone.devices[0], dataclasses.replace(gone.devices[1], absences=3)))
    assert [one.address for one in released(gone, "r").devices] == ["a"]


KINDS = [GPU, FPGA, GPU | {"CUSTOM_X"}, FPGA | {"CUSTOM_Y"}]


@given(
    cards=st.lists(st.sampled_from(KINDS), max_size=6),
    asked=st.lists(st.sampled_from(["CUSTOM_GPU", "CUSTOM_FPGA", "CUSTOM_X", "CUSTOM_Y"]), min_size=1, max_size=4),
)
def test_requests_are_served_exactly_when_some_assignment_exists(cards: list[frozenset[str]], asked: list[str]) -> None:
    of = host(*(device(f"{index:02}", traits) for index, traits in enumerate(cards)))
    wants = [want(f"r{index}", trait) for index, trait in enumerate(asked)]
    try:
        result = choice.choose(of, wants)
    except errors.NoAccelerator:
        assert not _possible(cards, asked)
    else:
        assert len({unit.uuid for unit in result.values()}) == len(asked)
        for index, trait in enumerate(asked):
            assert trait in cards[int(result[f"r{index}"].uuid.removeprefix("unit-"))]


def _possible(cards: list[frozenset[str]], asked: list[str]) -> bool:
    """Whether some assignment exists, by trying them all."""
    if not asked:
        return True
    fitting = (index for index, traits in enumerate(cards) if asked[0] in traits)
    return any(_possible(cards[:index] + cards[index + 1 :], asked[1:]) for index in fitting)
