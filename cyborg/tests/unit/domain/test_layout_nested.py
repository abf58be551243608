# SPDX-License-Identifier: Apache-2.0
"""One provider for each deployable, and what is on it."""

import dataclasses
import uuid

import pytest

from cyborg.domain import choice, errors, inventory, names, profile, reconcile, report, view
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.tests import builders

ROOT = "b1a2e1c8-4c5b-4d3f-9a3e-2f0f4d0f3a11"
NESTED = Shape(layout=Layout.NESTED)
TYPED = Shape(layout=Layout.NESTED, naming=Naming.TYPED)
GPU = "compute-1_0000:3b:00.0"
CARD = "compute-1_0000:5e:00.0"
REGION = f"{CARD}_region0"


def stored(*devices: report.Device, shape: Shape = NESTED) -> inventory.Host:
    empty = inventory.Host(name="compute-1", provider_uuid=ROOT, shape=shape)
    return reconcile.plan(empty, builders.host("compute-1", devices))


def mixed(shape: Shape = NESTED) -> inventory.Host:
    return stored(builders.gpu(), builders.fpga(), shape=shape)


def by_name(host: inventory.Host) -> dict[str | None, view.Provider]:
    return {provider.name: provider for provider in view.view(host).providers}


def hold(host: inventory.Host, *addresses: str) -> inventory.Host:
    held = {unit.uuid for device, _, unit in host.units() if device.address in addresses}
    return host.map_accelerators(
        lambda unit: dataclasses.replace(unit, holder=f"arq-{unit.uuid}") if unit.uuid in held else unit
    )


def test_every_deployable_has_a_provider_below_its_card_or_the_compute_nodes() -> None:
    shown = view.view(mixed()).providers
    assert [(provider.name, provider.parent_uuid) for provider in shown] == [
        (None, None),
        (GPU, ROOT),
        (CARD, ROOT),
        (REGION, names.provider_uuid(CARD)),
    ]


def test_the_uuid_is_made_from_the_name_as_earlier_releases_made_it() -> None:
    assert by_name(mixed())[GPU].uuid == str(uuid.uuid3(uuid.NAMESPACE_DNS, GPU))


def test_a_card_whose_regions_are_scheduled_has_no_inventory_of_its_own() -> None:
    shown = by_name(mixed())
    assert shown[CARD].inventories == {}
    assert shown[REGION].inventories == {"CUSTOM_ACCELERATOR": view.Amount(total=1)}
    assert shown[REGION].traits > builders.FPGA_TRAITS


def test_the_compute_nodes_provider_has_nothing_of_ours() -> None:
    root = view.view(mixed()).providers[0]
    assert root.inventories == {"CUSTOM_ACCELERATOR": view.Amount(total=0)}
    assert (root.traits, root.withdrawn) == (frozenset(), mixed().owned_traits)


def test_a_provider_is_cyborgs_and_not_novas() -> None:
    for provider in view.view(mixed()).providers[1:]:
        assert "OWNER_CYBORG" in provider.traits
        assert "OWNER_NOVA" not in provider.traits


def test_a_claim_changes_nothing_that_shows() -> None:
    before = mixed()
    assert view.view(hold(before, "0000:3b:00.0")) == view.view(before)
    assert view.advance(before, hold(before, "0000:3b:00.0")).generation == before.generation


@pytest.mark.parametrize(
    "changes",
    [{"status": inventory.DeviceStatus.MAINTAINING}, {"health": report.Health.FAILED}, {"absences": 1}],
)
def test_what_nobody_may_have_is_reserved_and_what_is_held_is_not(changes: dict[str, object]) -> None:
    before = mixed()
    bad = dataclasses.replace(before, devices=tuple(dataclasses.replace(one, **changes) for one in before.devices))  # type: ignore[arg-type]
    assert by_name(bad)[GPU].inventories["CUSTOM_ACCELERATOR"] == view.Amount(total=1, reserved=1)
    held = hold(bad, "0000:3b:00.0")
    assert by_name(held)[GPU].inventories["CUSTOM_ACCELERATOR"] == view.Amount(total=1, reserved=0)


def test_a_disabled_host_offers_nothing() -> None:
    off = dataclasses.replace(mixed(), status=inventory.HostStatus.DISABLED)
    assert by_name(off)[GPU].inventories["CUSTOM_ACCELERATOR"].usable == 0
    assert by_name(off)[REGION].inventories["CUSTOM_ACCELERATOR"].usable == 0


def test_typed_classes_are_those_of_the_drivers() -> None:
    shown = by_name(mixed(TYPED))
    assert set(shown[GPU].inventories) == {"PGPU"}
    assert set(shown[REGION].inventories) == {"FPGA"}


def test_typed_classes_on_the_compute_nodes_provider_are_amounts_per_class_and_are_remembered() -> None:
    before = mixed(Shape(naming=Naming.TYPED))
    (root,) = view.view(before).providers
    assert root.inventories == {"FPGA": view.Amount(total=1), "PGPU": view.Amount(total=1)}
    after = view.advance(before, dataclasses.replace(before, devices=before.devices[:1]))
    after = view.advance(after, dataclasses.replace(after, owned_classes=frozenset({"FPGA", "PGPU"})))
    assert view.view(after).providers[0].inventories == {"FPGA": view.Amount(total=0), "PGPU": view.Amount(total=1)}


def memory_card(mib: int | None, units: int = 1) -> report.Device:
    card = builders.gpu()
    accelerators = tuple(report.pci_accelerator(f"vf{n}", f"0000:3b:01.{n}") for n in range(units))
    part = dataclasses.replace(card.deployables[0], memory_mib=mib, accelerators=accelerators)
    return dataclasses.replace(card, deployables=(part,))


def test_memory_is_that_of_all_units_and_one_request_gets_that_of_one() -> None:
    shown = by_name(stored(memory_card(4096, units=3)))[GPU].inventories
    assert shown["CUSTOM_ACCELERATOR_MEMORY_GPU"] == view.Amount(total=3 * 4096, max_unit=4096)


def test_units_that_nobody_may_have_take_their_memory_with_them() -> None:
    host = stored(memory_card(4096, units=3))
    off = dataclasses.replace(host.devices[0], status=inventory.DeviceStatus.MAINTAINING)
    shown = by_name(dataclasses.replace(host, devices=(off,)))[GPU].inventories
    assert shown["CUSTOM_ACCELERATOR_MEMORY_GPU"].usable == 0


def test_the_compute_node_layout_shows_no_memory() -> None:
    (root,) = view.view(stored(memory_card(4096), shape=Shape())).providers
    assert set(root.inventories) == {"CUSTOM_ACCELERATOR"}


@pytest.mark.parametrize(
    ("own", "units", "asked", "served"),
    [(4096, 1, 4096, True), (4096, 1, 4097, False), (None, 1, 1, False), (4096, 2, 8192, True), (4096, 2, 8194, False)],
)
def test_a_card_with_less_memory_than_asked_for_is_not_handed_out(
    own: int | None, units: int, asked: int, served: bool
) -> None:
    group = profile.Group(resources={"CUSTOM_ACCELERATOR": units, "CUSTOM_ACCELERATOR_MEMORY_GPU": asked})
    wants = [choice.Want(arq_uuid=f"r{number}", group=group) for number in range(units)]
    host = stored(memory_card(own, units=2))
    if served:
        assert len(choice.choose(host, wants)) == units
    else:
        with pytest.raises(errors.NoAccelerator):
            choice.choose(host, wants)


def test_the_memory_of_another_kind_of_device_does_not_count() -> None:
    group = profile.Group(resources={"CUSTOM_ACCELERATOR": 1, "CUSTOM_ACCELERATOR_MEMORY_FPGA": 1})
    with pytest.raises(errors.NoAccelerator):
        choice.choose(stored(memory_card(4096)), [choice.Want(arq_uuid="r", group=group)])


def test_a_want_of_one_part_gets_a_unit_of_that_part_alone() -> None:
    host = stored(builders.gpu("0000:01:00.0"), builders.gpu("0000:02:00.0"))
    second = host.devices[1].deployables[0]
    group = profile.Group(resources={"CUSTOM_ACCELERATOR": 1})
    want = choice.Want(arq_uuid="r", group=group, parts=view.parts_of(host, names.provider_uuid(second.name)))
    assert choice.choose(host, [want])["r"] == second.accelerators[0]
    with pytest.raises(errors.NoAccelerator):
        choice.choose(hold(host, "0000:02:00.0"), [want])


def test_the_compute_nodes_provider_carries_no_part_of_a_nested_host_and_all_of_another() -> None:
    assert view.parts_of(mixed(), ROOT) == frozenset()
    assert len(view.parts_of(mixed(Shape()), ROOT)) == 3
    assert view.parts_of(mixed(), "another") == frozenset()


def test_a_card_that_moves_keeps_its_name_and_the_newcomer_gets_another() -> None:
    card = dataclasses.replace(builders.gpu("0000:01:00.0"), serial="S1")
    host = stored(card)
    newcomer = dataclasses.replace(builders.gpu("0000:01:00.0"), serial="S2")
    host = reconcile.plan(
        host, builders.host("compute-1", [dataclasses.replace(card, address="0000:02:00.0"), newcomer])
    )
    assert {device.serial: device.deployables[0].name for device in host.devices} == {
        "S1": "compute-1_0000:01:00.0",
        "S2": "compute-1_0000:01:00.0_2",
    }
    again = reconcile.plan(
        host, builders.host("compute-1", [newcomer, dataclasses.replace(card, address="0000:02:00.0")])
    )
    assert again == host


def test_a_name_that_placement_would_not_take_is_shortened_and_the_uuid_is_that_of_the_whole_name() -> None:
    long = "compute-1_" + "x" * 300
    assert len(names.provider_name(long)) == 200
    assert names.provider_name(long) != names.provider_name(long + "y")
    assert names.provider_name(GPU) == GPU


def test_a_region_that_outlives_its_card_stands_below_the_compute_node() -> None:
    host = mixed()
    lost = dataclasses.replace(host.devices[1], deployables=host.devices[1].deployables[1:])
    assert by_name(dataclasses.replace(host, devices=(lost,)))[REGION].parent_uuid == ROOT


def test_nothing_is_shown_while_the_host_moves_and_the_end_is_a_new_generation() -> None:
    before = mixed(Shape())
    moving = view.advance(before, dataclasses.replace(before, moving_to=NESTED))
    assert view.view(moving).providers == ()
    after = view.advance(moving, dataclasses.replace(moving, shape=NESTED, moving_to=None))
    assert after.generation == moving.generation + 1 == before.generation + 2


def test_a_closed_host_offers_what_is_held_and_nothing_else() -> None:
    host = view.closed(hold(mixed(), "0000:3b:00.0"))
    amounts = {name: provider.inventories.get("CUSTOM_ACCELERATOR") for name, provider in by_name(host).items()}
    assert amounts[GPU] == view.Amount(total=1, reserved=0)
    assert amounts[REGION] == view.Amount(total=1, reserved=1)
