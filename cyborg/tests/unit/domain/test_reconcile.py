# SPDX-License-Identifier: Apache-2.0
"""What a complete report changes, and what it never may."""

import dataclasses
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from cyborg.domain import inventory, reconcile, report
from cyborg.domain.reconcile import ChangeKind

EMPTY = inventory.Host(name="host-1")


def card(address: str, *, units: int = 1, serial: str | None = None, **changes: object) -> report.Device:
    part = report.Deployable(
        resource_class="PGPU",
        traits=frozenset({"CUSTOM_GPU"}),
        accelerators=tuple(report.pci_accelerator(f"vf{n}", f"{address[:-1]}{n}") for n in range(units)),
    )
    made = report.Device(
        address=address,
        serial=serial,
        type=report.DeviceType.GPU,
        vendor="10de",
        model="26b9",
        deployables=(part,),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def seen(*devices: report.Device, driver: str = "nvidia_gpu_driver") -> report.DeviceReport:
    return report.DeviceReport(host="host-1", driver=driver, devices=devices)


def after(host: inventory.Host, *reports: report.DeviceReport) -> inventory.Host:
    for one in reports:
        host = reconcile.plan(host, one, absence_limit=3)
    return host


def hold(host: inventory.Host, holder: str = "arq-1") -> inventory.Host:
    """The host with its first accelerator held."""
    first = next(host.units())[2].uuid
    return host.map_accelerators(lambda unit: dataclasses.replace(unit, holder=holder) if unit.uuid == first else unit)


def kinds(before: inventory.Host, now: inventory.Host) -> Mapping[str, ChangeKind]:
    return {change.device.address: change.kind for change in reconcile.changes(before, now)}


A, B, C = card("0000:01:00.0"), card("0000:02:00.0"), card("0000:03:00.0")


def test_what_was_seen_is_what_is_stored() -> None:
    host = after(EMPTY, seen(A, B))
    assert [device.address for device in host.devices] == [A.address, B.address]
    assert host.owned_traits == {"CUSTOM_GPU"}
    assert host.devices[0].deployables[0].name == "host-1_0000:01:00.0"


def test_the_same_report_again_changes_nothing() -> None:
    host = after(EMPTY, seen(A, B))
    assert after(host, seen(B, A)) == host
    assert reconcile.settled(host, seen(A, B))


def test_a_device_is_gone_only_after_the_limit_of_complete_reports() -> None:
    stored = after(EMPTY, seen(A, B))
    first = after(stored, seen(A))
    assert kinds(stored, first) == {B.address: ChangeKind.ABSENT}
    assert not reconcile.settled(first, seen(A))
    assert len(after(first, seen(A)).devices) == 2
    third = after(first, seen(A), seen(A))
    assert [device.address for device in third.devices] == [A.address]
    assert reconcile.settled(third, seen(A))


def test_a_device_that_comes_back_is_the_same_device() -> None:
    stored = after(EMPTY, seen(A, B))
    back = after(stored, seen(A), seen(A), seen(A, B))
    assert {device.uuid for device in back.devices} == {device.uuid for device in stored.devices}


def test_a_held_device_that_vanishes_keeps_its_holder_and_is_missing() -> None:
    stored = hold(after(EMPTY, seen(card(A.address, units=2))))
    gone = after(stored, *[seen()] * 5)
    ((device, _, unit),) = gone.units()
    assert (unit.holder, unit.missing, device.state(unit)) == ("arq-1", True, inventory.AcceleratorState.MISSING)
    assert reconcile.settled(gone, seen())
    back = after(gone, seen(card(A.address, units=2)))
    assert [unit.holder for _, _, unit in back.units()] == ["arq-1", None]
    assert not any(unit.missing for _, _, unit in back.units())


def test_a_held_vf_that_vanishes_does_not_take_its_sibling_along() -> None:
    stored = hold(after(EMPTY, seen(card(A.address, units=3))))
    fewer = card(A.address, units=3)
    part = dataclasses.replace(fewer.deployables[0], accelerators=fewer.deployables[0].accelerators[1:])
    now = after(stored, seen(dataclasses.replace(fewer, deployables=(part,))))
    assert {unit.key: (unit.holder, unit.missing) for _, _, unit in now.units()} == {
        "vf0": ("arq-1", True),
        "vf1": (None, False),
        "vf2": (None, False),
    }


def test_another_drivers_devices_are_never_touched() -> None:
    stored = after(EMPTY, seen(A, driver="pci_driver"), seen(B))
    assert after(stored, seen(), seen(), seen()).devices == (stored.devices[0],)


def test_a_card_that_two_drivers_offer_stays_with_the_first() -> None:
    stored = after(EMPTY, seen(A, driver="pci_driver"))
    twice = after(stored, seen(A))
    assert twice.devices == stored.devices
    assert not reconcile.settled(twice, seen(A))


def test_the_operators_status_survives_reports_and_absence() -> None:
    stored = after(EMPTY, seen(A))
    off = dataclasses.replace(stored.devices[0], status=inventory.DeviceStatus.MAINTAINING)
    stored = dataclasses.replace(stored, devices=(off,))
    again = after(stored, seen(card(A.address, health=report.Health.DEGRADED)), seen(), seen(A))
    assert again.devices[0].status is inventory.DeviceStatus.MAINTAINING


def test_a_card_with_a_serial_keeps_its_identity_in_another_slot() -> None:
    stored = hold(after(EMPTY, seen(card(A.address, serial="S1"))))
    moved = after(stored, seen(card(C.address, serial="S1")))
    (device,) = moved.devices
    assert (device.uuid, device.address) == (stored.devices[0].uuid, C.address)
    assert next(moved.units())[2].holder == "arq-1"
    assert next(moved.units())[2].info["bus"] == "03"


def test_two_cards_that_swap_slots_keep_their_identities() -> None:
    one, two = card(A.address, serial="S1"), card(B.address, serial="S2")
    stored = after(EMPTY, seen(one, two))
    swapped = after(stored, seen(card(B.address, serial="S1"), card(A.address, serial="S2")))
    assert {device.serial: device.uuid for device in swapped.devices} == {
        device.serial: device.uuid for device in stored.devices
    }


def test_another_serial_in_the_same_slot_is_another_card() -> None:
    stored = after(EMPTY, seen(card(A.address, serial="S1")))
    now = after(stored, seen(card(A.address, serial="S2")))
    assert {device.serial: device.absences for device in now.devices} == {"S1": 1, "S2": 0}
    assert after(now, *[seen(card(A.address, serial="S2"))] * 2).devices == (now.devices[1],)


def test_a_serial_that_two_cards_share_identifies_neither() -> None:
    host = after(EMPTY, seen(card(A.address, serial="BOARD"), card(B.address, serial="BOARD")))
    assert [device.serial for device in host.devices] == [None, None]
    assert after(host, seen(card(B.address, serial="BOARD"), card(A.address, serial="BOARD"))) == host


def test_a_region_inherits_the_traits_of_its_card() -> None:
    region = report.Deployable(key="region0", resource_class="FPGA", traits=frozenset({"CUSTOM_R"}))
    root = report.Deployable(resource_class="FPGA", traits=frozenset({"CUSTOM_FPGA"}), children=(region,))
    host = after(EMPTY, seen(card(A.address, deployables=(root,))))
    assert {part.key: part.traits for part in host.devices[0].deployables} == {
        "": {"CUSTOM_FPGA"},
        "region0": {"CUSTOM_FPGA", "CUSTOM_R"},
    }
    assert host.devices[0].deployables[1].parent_key == ""


CARDS = st.lists(
    st.builds(
        card,
        st.sampled_from([f"0000:{bus:02x}:00.0" for bus in range(6)]),
        units=st.integers(0, 3),
        # What cannot be told any more after it had failed stays failed, however often it is seen.
        health=st.sampled_from(sorted(set(report.Health) - {report.Health.UNKNOWN})),
    ),
    max_size=6,
    unique_by=lambda device: device.address,
)


@given(first=CARDS, second=CARDS)
def test_applying_reports_until_they_settle_gives_what_was_seen(
    first: list[report.Device], second: list[report.Device]
) -> None:
    host = after(EMPTY, seen(*first), *[seen(*second)] * 3)
    assert sorted(
        (device.address, device.health, len(list(device.accelerators()))) for device in host.devices
    ) == sorted((device.address, device.health, len(device.deployables[0].accelerators)) for device in second)
    assert reconcile.settled(host, seen(*second))


@given(first=CARDS, second=CARDS)
def test_no_report_ever_takes_an_accelerator_from_its_holder(
    first: list[report.Device], second: list[report.Device]
) -> None:
    stored = after(EMPTY, seen(*first))
    held = stored.map_accelerators(lambda unit: dataclasses.replace(unit, holder=f"arq-{unit.uuid}"))
    now = after(held, *[seen(*second)] * 4)
    before = {unit.uuid: unit.holder for _, _, unit in held.units()}
    assert before.items() <= {unit.uuid: unit.holder for _, _, unit in now.units()}.items()


def test_reports_keep_what_is_under_way_and_never_make_an_unclean_unit_free() -> None:
    """Data of the last tenant is still there when the card comes back."""
    stored = after(EMPTY, seen(card("0000:01:00.0", units=3)))
    marks: list[dict[str, object]] = [{"work": "w", "attached": {"bus": "1"}}, {"work": "v", "quarantine": "why"}, {}]
    by_uuid = {unit.uuid: mark for (_, _, unit), mark in zip(stored.units(), marks, strict=True)}
    marked = stored.map_accelerators(
        lambda unit: dataclasses.replace(unit, **by_uuid[unit.uuid])  # type: ignore[arg-type]
    )
    assert after(marked, seen(card("0000:01:00.0", units=3))) == marked
    gone = after(marked, seen(), seen(), seen())
    assert [(unit.work, unit.missing) for _, _, unit in gone.units()] == [("w", True), ("v", True)]
    back = after(gone, seen(card("0000:01:00.0", units=3)))
    assert [(unit.work, unit.quarantine, unit.missing) for _, _, unit in back.units()] == [
        ("w", None, False),
        ("v", "why", False),
        (None, None, False),
    ]


def test_a_device_can_do_what_its_driver_can() -> None:
    able = dataclasses.replace(seen(A), capabilities=frozenset({"cleans"}))
    assert able.digest != seen(A).digest
    stored = after(EMPTY, able)
    assert stored.devices[0].capabilities == {"cleans"}
    assert after(stored, seen()).devices[0].capabilities == {"cleans"}
    assert after(stored, seen(A)).devices[0].capabilities == frozenset()
