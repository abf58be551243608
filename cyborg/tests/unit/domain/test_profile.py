# SPDX-License-Identifier: Apache-2.0
"""What a profile may ask for, and how it is told what is wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyborg.domain import errors, inventory, profile

IMAGE = "9aeffe5f-8457-0612-c000-c9660d824272"


def test_text_and_order_are_kept_and_blanks_around_names_go() -> None:
    given_groups = [{"trait: CUSTOM_B ": "required", "resources:FPGA": 2, "accel:function_id": IMAGE}]
    (group,), text = profile.parse_groups(given_groups)
    assert list(text[0].items()) == [
        ("trait:CUSTOM_B", "required"),
        ("resources:FPGA", "2"),
        ("accel:function_id", IMAGE),
    ]
    assert group.accelerator_count == 2
    assert group.required == {"CUSTOM_B"}
    assert profile.load_groups(text) == (group,)


def test_memory_is_an_amount_and_not_a_second_accelerator() -> None:
    (group,), _ = profile.parse_groups(
        [{"resources:CUSTOM_ACCELERATOR": "1", "resources:CUSTOM_ACCELERATOR_MEMORY_GPU": "24576"}]
    )
    assert group.accelerator_count == 1


def test_a_standard_trait_may_be_asked_for() -> None:
    (group,), _ = profile.parse_groups([{"resources:PGPU": "1", "trait:OWNER_CYBORG": "forbidden"}])
    assert group.forbidden == {"OWNER_CYBORG"}


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"resources:VCPU": "1"}, "'VCPU' is not an accelerator"),
        ({"resources:custom_x": "1"}, "'custom_x' is not a resource class"),
        ({"resources:FPGA": "0"}, "1 to 64, not 0"),
        ({"resources:FPGA": "65"}, "1 to 64, not 65"),
        ({"resources:FPGA": "-1"}, "whole number, not '-1'"),
        ({"resources:FPGA": "1.5"}, "whole number"),
        ({"resources:FPGA": "१"}, "whole number"),
        ({"resources:FPGA": None}, "whole number, not None"),
        ({"resources:FPGA": True}, "whole number"),
        ({"resources:FPGA": "1", "trait:NO_SUCH": "required"}, "'NO_SUCH' is neither"),
        ({"resources:FPGA": "1", "trait:CUSTOM_X\n": "required", "trait:CUSTOM_X": "required"}, "given twice"),
        ({"resources:FPGA": "1", "trait:CUSTOM_X": "maybe"}, "'required' or 'forbidden'"),
        ({"resources:FPGA": "1", "size": "2"}, "must begin with"),
        ({"resources:FPGA": "1", "accel:bitstream_id": "my.gbs"}, "must be a uuid"),
        ({"resources:FPGA": "1", "accel:size": "2"}, "is not known; known are attach_target, bitstream_id"),
        ({"resources:FPGA": "1", "accel:attach_target": "moon"}, "one of VM, host, none"),
        ({"resources:FPGA": "1", "accel:function_name": ""}, "1 to 255 characters"),
        ({"trait:CUSTOM_X": "required"}, "asks for no accelerator"),
        ({}, "asks for no accelerator"),
    ],
)
def test_what_cannot_be_asked_for_is_named(group: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        profile.parse_groups([group])
    assert message in caught.value.message
    assert "groups[0]" in caught.value.message


def test_a_profile_is_not_empty_and_not_larger_than_any_server() -> None:
    with pytest.raises(errors.InvalidRequest, match="at least one group"):
        profile.parse_groups([])
    with pytest.raises(errors.InvalidRequest, match="asks for 128 accelerators"):
        profile.parse_groups([{"resources:FPGA": "64"}, {"resources:PGPU": "64"}])


@given(st.dictionaries(st.text(max_size=12), st.one_of(st.text(max_size=8), st.integers(), st.none()), max_size=3))
def test_hostile_text_is_parsed_or_refused_and_nothing_else(group: dict[str, Any]) -> None:
    try:
        _, text = profile.parse_groups([group, {"resources:FPGA": "1"}])
    except errors.InvalidRequest:
        return
    assert profile.load_groups(text)


def test_a_function_is_asked_for_by_its_id_and_a_region_without_it_does_not_fit() -> None:
    (group,), _ = profile.parse_groups([{"resources:FPGA": "1", "accel:function_id": IMAGE}])
    shown = f"CUSTOM_FPGA_INTEL_FUNCTION_{IMAGE.replace('-', '').upper()}"
    for traits, fits in ((frozenset({"CUSTOM_FPGA", shown}), True), (frozenset({"CUSTOM_FPGA"}), False)):
        part = inventory.Deployable(uuid="u", key="", name="n", resource_class="FPGA", traits=traits)
        assert group.matches(part) == fits


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"CUSTOM_ACCELERATOR": 1}, True),
        ({"PGPU": 1}, True),
        ({"FPGA": 1}, False),
        ({"CUSTOM_ACCELERATOR": 1, "CUSTOM_ACCELERATOR_MEMORY_GPU": 1}, True),
    ],
)
def test_the_generic_class_and_the_typed_one_both_match(asked: dict[str, int], fits: bool) -> None:
    part = inventory.Deployable(uuid="u", key="", name="n", resource_class="PGPU")
    assert profile.Group(resources=asked).matches(part) == fits
