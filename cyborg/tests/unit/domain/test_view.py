# SPDX-License-Identifier: Apache-2.0
"""What Placement should show for a host."""

import dataclasses
from typing import Any

from cyborg.domain import choice, inventory, report, view
from cyborg.tests.unit.domain.test_choice import FPGA, GPU, device, host, released, want

PROVIDER = "b1a2e1c8-4c5b-4d3f-9a3e-2f0f4d0f3a11"


def mixed(**changes: Any) -> inventory.Host:
    made = dataclasses.replace(host(device("a", GPU, **changes), device("b", FPGA)), provider_uuid=PROVIDER)
    return dataclasses.replace(made, owned_traits=GPU | FPGA)


def only(of: inventory.Host) -> view.Provider:
    (provider,) = view.view(of).providers
    return provider


def test_a_mixed_host_shows_one_class_and_the_traits_of_both() -> None:
    provider = only(mixed())
    assert provider.inventories == {"CUSTOM_ACCELERATOR": view.Amount(total=2, reserved=0)}
    assert (provider.traits, provider.withdrawn) == (GPU | FPGA, frozenset())


def test_the_traits_of_the_last_card_of_a_kind_go_with_its_claim_and_come_back_on_release() -> None:
    before = mixed()
    after, _ = choice.claim(before, [want("r", "CUSTOM_GPU")])
    assert only(after).traits == FPGA
    assert only(after).withdrawn == GPU
    assert only(after).inventories["CUSTOM_ACCELERATOR"].reserved == 0
    assert only(released(after, "r")) == only(before)


def test_a_card_that_may_not_be_used_is_reserved_and_shows_no_trait() -> None:
    for changes in (
        {"status": inventory.DeviceStatus.MAINTAINING},
        {"health": report.Health.FAILED},
        {"absences": 2},
        {"unit": {"work": "w"}},
        {"unit": {"work": "w", "quarantine": "it does not answer"}},
    ):
        provider = only(mixed(**changes))
        assert provider.inventories["CUSTOM_ACCELERATOR"] == view.Amount(total=2, reserved=1)
        assert provider.traits == FPGA


def test_a_held_card_that_is_disabled_is_counted_by_its_consumer_alone() -> None:
    after, _ = choice.claim(mixed(), [want("r", "CUSTOM_GPU")])
    off = dataclasses.replace(after.devices[0], status=inventory.DeviceStatus.MAINTAINING)
    after = dataclasses.replace(after, devices=(off, after.devices[1]))
    assert only(after).inventories["CUSTOM_ACCELERATOR"].reserved == 0
    assert only(released(after, "r")).inventories["CUSTOM_ACCELERATOR"].reserved == 1


def test_the_generation_grows_only_when_something_shows() -> None:
    before = mixed()
    claimed, _ = choice.claim(before, [want("r", "CUSTOM_GPU")])
    assert view.advance(before, claimed).generation == before.generation + 1
    renamed = dataclasses.replace(
        before, devices=(dataclasses.replace(before.devices[0], numa_node=1), *before.devices[1:])
    )
    assert view.advance(before, renamed).generation == before.generation


def test_a_host_without_a_known_provider_shows_nothing() -> None:
    assert view.view(host(device("a", GPU))).providers == ()
