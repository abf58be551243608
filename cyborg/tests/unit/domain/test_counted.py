# SPDX-License-Identifier: Apache-2.0
"""The naming ``counted``: beside the generic class, one for each kind, which counts the same units once more."""

import dataclasses

import pytest

from cyborg.domain import choice, errors, inventory, profile, report, reshape, view
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.tests.unit.domain.test_choice import released
from cyborg.tests.unit.domain.test_layout_nested import GPU, REGION, ROOT, by_name, hold, mixed
from cyborg.tests.unit.domain.test_reshape import SERVER, requests

COUNTED = Shape(naming=Naming.COUNTED)
COUNTED_NESTED = Shape(layout=Layout.NESTED, naming=Naming.COUNTED)
ALL, GPUS, FPGAS = "CUSTOM_ACCELERATOR", "CUSTOM_ACCELERATOR_GPU", "CUSTOM_ACCELERATOR_FPGA"


def want(*classes: str, required: str = "CUSTOM_GPU") -> choice.Want:
    traits = {required: profile.TraitRule.REQUIRED}
    return choice.Want(arq_uuid="r", group=profile.Group(resources=dict.fromkeys(classes, 1), traits=traits))


def shown(host: inventory.Host) -> dict[str, tuple[int, int]]:
    (provider,) = view.view(host).providers
    return {name: (amount.total, amount.reserved) for name, amount in provider.inventories.items()}


def test_each_kind_is_counted_beside_the_whole() -> None:
    assert shown(mixed(COUNTED)) == {ALL: (2, 0), GPUS: (1, 0), FPGAS: (1, 0)}


def test_what_may_not_be_used_is_reserved_under_both_names() -> None:
    host = mixed(COUNTED)
    failed = dataclasses.replace(host.devices[0], health=report.Health.FAILED)
    assert shown(dataclasses.replace(host, devices=(failed, *host.devices[1:])))[GPUS] == (1, 1)


def test_a_holder_whose_allocation_counts_the_kind_is_left_to_its_allocation() -> None:
    after, _ = choice.claim(mixed(COUNTED), [want(ALL, GPUS)])
    assert shown(after) == {ALL: (2, 0), GPUS: (1, 0), FPGAS: (1, 0)}


def test_a_holder_whose_allocation_does_not_is_reserved_there_until_it_is_released() -> None:
    before = mixed(COUNTED)
    after, _ = choice.claim(before, [want(ALL)])
    assert shown(after) == {ALL: (2, 0), GPUS: (1, 1), FPGAS: (1, 0)}
    assert shown(released(after, "r")) == shown(before)


def test_nested_providers_count_their_units_under_both_names() -> None:
    providers = by_name(mixed(COUNTED_NESTED))
    assert providers[GPU].inventories == {ALL: view.Amount(total=1), GPUS: view.Amount(total=1)}
    assert providers[REGION].inventories == {ALL: view.Amount(total=1), FPGAS: view.Amount(total=1)}


def test_the_counting_class_adds_no_accelerator_and_is_of_the_kind() -> None:
    (group,), _ = profile.parse_groups([{f"resources:{ALL}": "2", f"resources:{GPUS}": "2"}])
    assert group.accelerator_count == 2
    assert group.is_content_with(report.DeviceType.GPU, None)
    assert not group.is_content_with(report.DeviceType.FPGA, None)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({f"resources:{GPUS}": "1"}, "asks for no accelerator"),
        ({f"resources:{ALL}": "1", f"resources:{GPUS}": "2"}, "must have the same amount"),
    ],
)
def test_a_profile_that_counts_wrongly_is_refused(group: dict[str, str], message: str) -> None:
    with pytest.raises(errors.InvalidRequest, match=message):
        profile.parse_groups([group])


def test_an_fpga_is_not_given_to_who_counts_gpus() -> None:
    with pytest.raises(errors.NoAccelerator):
        choice.claim(mixed(COUNTED), [want(ALL, GPUS, required="CUSTOM_FPGA")])


@pytest.mark.parametrize("resources", [{}, {GPUS: 1}], ids=["not named", "named"])
def test_a_move_gives_the_class_to_the_allocations_whose_requests_name_it(resources: dict[str, int]) -> None:
    host = hold(mixed(Shape()), "0000:3b:00.0")
    allocations = {SERVER: {ROOT: {ALL: 1, "VCPU": 1}}}
    plan = reshape.plan(host, COUNTED, requests(host, SERVER, **resources), allocations)
    assert plan.problems == ()
    after = plan.moves[0].after if plan.moves else allocations[SERVER]
    assert after == {ROOT: {ALL: 1, "VCPU": 1, **resources}}
    back = reshape.plan(
        dataclasses.replace(host, shape=COUNTED), Shape(), requests(host, SERVER, **resources), {SERVER: after}
    )
    assert [move.after for move in back.moves] == ([allocations[SERVER]] if resources else [])
