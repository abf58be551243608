# SPDX-License-Identifier: Apache-2.0
"""Devices, deployables and attributes as lists show them."""

import dataclasses
from collections import Counter

import pytest

from cyborg.domain import audit, errors, inventory, report
from cyborg.domain.names import provider_uuid
from cyborg.domain.shape import Layout, Shape
from cyborg.store import accelerators, attributes, deployables, devices, host_list, hosts, paging
from cyborg.store.columns import now
from cyborg.store.engine import Store
from cyborg.store.models import Origin
from cyborg.tests.databases import recorded
from cyborg.tests.unit.store import builders
from cyborg.tests.unit.store.builders import HOST, PROVIDER, apply, card, fpga, seen

WORK = "33333333-3333-4333-8333-333333333333"


@pytest.fixture
def hardware(store: Store) -> Store:
    with store.transaction() as tx:
        hosts.sync(tx, HOST, PROVIDER, {})
    apply(store, seen(card(1, units=4), card(2, vendor="1002"), fpga()))
    apply(store, seen(card(1), host="compute-2"))
    return store


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (devices.Filter(), 4),
        (devices.Filter(type="GPU"), 3),
        (devices.Filter(type="FPGA", hostname=HOST), 1),
        (devices.Filter(vendor="1002"), 1),
        (devices.Filter(hostname="compute-2"), 1),
        (devices.Filter(hostname="Compute-2"), 0),
        (devices.Filter(type="TOASTER"), 0),
    ],
)
def test_devices_are_filtered(hardware: Store, wanted: devices.Filter, found: int) -> None:
    with hardware.reading() as tx:
        rows = devices.page(tx, wanted)
        assert len(rows) == found
        assert all(devices.get(tx, row.uuid) == row for row in rows)
    assert [row.id for row in rows] == sorted(row.id for row in rows)


def test_a_device_shows_what_was_reported_and_its_host(hardware: Store) -> None:
    with hardware.reading() as tx:
        row = devices.page(tx)[0]
    assert (row.hostname, row.type, row.vendor, row.facts["memory"]) == (
        HOST,
        report.DeviceType.GPU,
        "10de",
        {"total": 40960},
    )


def test_a_deployable_shows_its_place_its_units_and_its_attributes(hardware: Store) -> None:
    with hardware.reading() as tx:
        gpu = deployables.page(tx)[0]
        region = deployables.page(tx, deployables.Filter(name=f"{HOST}_0000:80:00.0_region0"))[0]
        top = next(row for row in deployables.page(tx) if row.id == region.parent_id)
        assert deployables.get(tx, gpu.uuid) == gpu
    assert (gpu.num_accelerators, gpu.rp_uuid, gpu.driver, gpu.hostname) == (4, PROVIDER, "fake_driver", HOST)
    assert dict(gpu.attributes) == {
        "rc": "PGPU",
        "trait:CUSTOM_GPU": "CUSTOM_GPU",
        "trait:CUSTOM_GPU_NVIDIA": "CUSTOM_GPU_NVIDIA",
    }
    assert (region.num_accelerators, region.root_id, region.memory_mib) == (1, top.id, 4096)
    assert (top.num_accelerators, top.parent_id, top.device_uuid) == (0, None, region.device_uuid)


def test_on_a_nested_host_a_deployable_is_carried_by_a_provider_of_its_own(store: Store) -> None:
    with store.transaction() as tx:
        hosts.sync(tx, HOST, PROVIDER, {}, Shape(layout=Layout.NESTED))
    apply(store, seen(card(1), fpga()))
    with store.reading() as tx:
        rows = deployables.page(tx)
    assert {row.rp_uuid for row in rows} == {provider_uuid(row.name) for row in rows}


def test_a_limit_counts_deployables_not_their_attributes(hardware: Store) -> None:
    with hardware.reading() as tx:
        every = deployables.page(tx)
        first = deployables.page(tx, part=paging.Page(limit=2))
        rest = deployables.page(tx, part=paging.Page(marker=first[-1].uuid))
        names = deployables.page(tx, part=paging.Page(sort="name", descending=True))
    assert first + rest == every
    assert [row.name for row in names] == sorted((row.name for row in every), reverse=True)


def test_attributes_are_filtered_by_deployable_and_key(hardware: Store) -> None:
    with hardware.reading() as tx:
        part = deployables.page(tx)[0]
        assert len(attributes.page(tx, attributes.Filter(deployable_id=part.id))) == 3
        (row,) = attributes.page(tx, attributes.Filter(deployable_id=part.id, key="rc"))
        assert (row.value, row.origin) == ("PGPU", Origin.REPORT)
        assert attributes.page(tx, attributes.Filter(key="nothing")) == []
        assert attributes.get(tx, row.uuid) == row


def test_an_attribute_of_the_api_comes_and_goes(hardware: Store) -> None:
    with hardware.transaction() as tx:
        part = deployables.page(tx)[0]
        made = attributes.create(tx, deployable_id=part.id, key="note", value="spare")
    assert made.origin is Origin.API
    with hardware.reading() as tx:
        assert ("note", "spare") in deployables.get(tx, part.uuid).attributes
    with pytest.raises(errors.AlreadyExists, match="'note'"), hardware.transaction() as tx:
        attributes.create(tx, deployable_id=part.id, key="note", value="again")
    with hardware.transaction() as tx:
        attributes.delete(tx, made.uuid)
    with pytest.raises(errors.NotFound), hardware.transaction() as tx:
        attributes.delete(tx, made.uuid)


def test_an_attribute_that_a_driver_reports_stays(hardware: Store) -> None:
    with hardware.reading() as tx:
        reported = attributes.page(tx, attributes.Filter(key="rc"))[0]
    with pytest.raises(errors.Conflict, match="driver reports"), hardware.transaction() as tx:
        attributes.delete(tx, reported.uuid)


@pytest.mark.parametrize("deployable_id", [0, -1, 2**31, 2**62])
def test_an_attribute_needs_its_deployable(store: Store, deployable_id: int) -> None:
    with pytest.raises(errors.NotFound, match=str(deployable_id)), store.transaction() as tx:
        attributes.create(tx, deployable_id=deployable_id, key="a", value="b")
    with store.reading() as tx:
        assert attributes.page(tx, attributes.Filter(deployable_id=deployable_id)) == []


def test_a_number_beyond_every_database_is_refused(store: Store) -> None:
    with pytest.raises(errors.CyborgError), store.transaction() as tx:
        attributes.create(tx, deployable_id=2**80, key="a", value="b")


def test_what_is_unknown_is_not_found(store: Store) -> None:
    with store.reading() as tx:
        for room in (devices, deployables, attributes):
            with pytest.raises(errors.NotFound):
                room.get(tx, builders.new_uuid())


@pytest.mark.parametrize("count", [10, 2000])
def test_each_list_is_one_statement_however_much_hardware_there_is(store: Store, count: int) -> None:
    for host in range(max(1, count // 400)):
        apply(
            store,
            seen(*(card(number % 256, address=f"card-{number}") for number in range(min(count, 400))), host=f"h{host}"),
        )
    with store.reading() as tx, recorded(store) as statements:
        assert len(devices.page(tx)) == count
        assert len(deployables.page(tx)) == count
        assert len(attributes.page(tx)) == 3 * count
    assert len(statements) == 3


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("marks", [{}, {"work": WORK}, {"work": WORK, "quarantine": "it does not answer"}])
@pytest.mark.parametrize("host_status", inventory.HostStatus)
def test_the_database_says_of_each_accelerator_what_the_domain_says(
    store: Store, missing: bool, held: bool, marks: dict[str, str], host_status: inventory.HostStatus
) -> None:
    cards = [card(number) for number in range(8)]
    host = apply(store, seen(*cards))
    requests = builders.requests(store, 8) if held else []
    for number, (device, status, health, absences) in enumerate(
        zip(
            host.devices,
            [inventory.DeviceStatus.ENABLED, inventory.DeviceStatus.MAINTAINING] * 4,
            [report.Health.OK, report.Health.OK, report.Health.FAILED, report.Health.FAILED] * 2,
            [0] * 4 + [1] * 4,
            strict=True,
        )
    ):
        part = device.deployables[0]
        unit = dataclasses.replace(
            part.accelerators[0],
            missing=missing,
            holder=requests[number].uuid if held else None,
            work=marks.get("work"),
            quarantine=marks.get("quarantine"),
        )
        changed = dataclasses.replace(
            device,
            status=status,
            health=health,
            absences=absences,
            deployables=(dataclasses.replace(part, accelerators=(unit,)),),
        )
        devices_now = tuple(changed if one.uuid == device.uuid else one for one in host.devices)
        host = dataclasses.replace(host, devices=devices_now)
    after = dataclasses.replace(host, status=host_status)
    with store.transaction() as tx:
        hosts.save(tx, hosts.get_or_create(tx, HOST), after)
    expected = {unit.uuid: device.state(unit) for device, _, unit in after.units()}
    with store.reading() as tx:
        assert {one.uuid: one.state for one in accelerators.page(tx)} == expected
        for state in inventory.AcceleratorState:
            found = {one.uuid for one in accelerators.page(tx, accelerators.Filter(states=[state]))}
            assert found == {uuid for uuid, known in expected.items() if known is state}
        (shown,) = host_list.page(tx)
    assert shown.accelerators == Counter(str(state) for state in expected.values())


def test_a_host_shows_when_it_was_heard_of_and_what_its_drivers_reported(hardware: Store) -> None:
    with hardware.transaction() as tx:
        hosts.set_digest(tx, hosts.get_or_create(tx, HOST), "fake_driver", "digest")
    with hardware.reading() as tx, recorded(hardware) as statements:
        first, second = host_list.page(tx)
        assert len(statements) == 3
        assert host_list.get(tx, HOST) == host_list.get(tx, first.uuid) == first
    assert (first.name, first.provider_uuid, [one.driver for one in first.reports]) == (HOST, PROVIDER, ["fake_driver"])
    assert first.seen_at is not None
    assert (first.down_since, first.drift) == (None, None)
    assert (second.seen_at, second.reports, second.accelerators) == (None, (), {"free": 1})


def difference(number: int) -> audit.Difference:
    return audit.Difference(kind=audit.Kind.TRAIT_EXTRA, host=HOST, subject=f"CUSTOM_{number}", text="shown")


def test_a_host_shows_how_many_differences_were_found_there_and_the_first_of_them(hardware: Store) -> None:
    many = [difference(number) for number in range(host_list.KEPT + 5)]
    with hardware.transaction() as tx, recorded(hardware) as statements:
        host_list.note_drift(tx, now(), {HOST: many, "compute-2": [], "gone": many})
        assert len(statements) == 1
    with hardware.reading() as tx:
        first, second = host_list.page(tx)
    assert first.drift is not None
    assert second.drift is not None
    assert (first.drift.number, len(first.drift.differences)) == (len(many), host_list.KEPT)
    assert first.drift.differences[0] == {"kind": "trait_extra", "subject": "CUSTOM_0", "text": "shown"}
    assert (second.drift.number, second.drift.differences) == (0, ())


def test_what_was_found_stays_while_reports_come_and_shows_the_last_look(hardware: Store) -> None:
    with hardware.transaction() as tx:
        host_list.note_drift(tx, now(), {HOST: [difference(1)]})
    apply(hardware, seen(card(1, units=2)))
    with hardware.reading() as tx:
        before = host_list.get(tx, HOST).drift
    assert before is not None
    assert before.number == 1
    with hardware.transaction() as tx:
        host_list.note_drift(tx, now(), {HOST: []})
    with hardware.reading() as tx:
        after = host_list.get(tx, HOST).drift
    assert after is not None
    assert after.number == 0
    assert after.looked_at > before.looked_at


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (accelerators.Filter(hostname=HOST), 7),
        (accelerators.Filter(hostname="compute-2"), 1),
        (accelerators.Filter(hostname="compute-3"), 0),
        (accelerators.Filter(hostname=HOST, states=["free"]), 7),
        (accelerators.Filter(device_uuid="none"), 0),
        (accelerators.Filter(deployable_uuid="none"), 0),
    ],
)
def test_accelerators_are_filtered(hardware: Store, wanted: accelerators.Filter, found: int) -> None:
    with hardware.reading() as tx:
        rows = accelerators.page(tx, wanted)
        assert len(rows) == found
        assert all(accelerators.get(tx, row.uuid) == row for row in rows)


def test_a_device_counts_its_changes(store: Store) -> None:
    apply(store, seen(card(1)))
    apply(store, seen(card(1)))
    apply(store, seen(card(1, model="20f2")))
    with store.reading() as tx:
        (row,) = devices.page(tx)
        devices.check_generation(tx, row.uuid, 1)
        with pytest.raises(errors.Conflict, match="generation 1, not 0"):
            devices.check_generation(tx, row.uuid, 0)


@pytest.mark.parametrize(("table", "column"), [("hosts", "layout"), ("devices", "status"), ("accelerators", "type")])
def test_what_a_newer_release_says_of_a_host_is_listed_and_nothing_is_decided_by_it(
    hardware: Store, table: str, column: str
) -> None:
    lists = (host_list.page, devices.page, deployables.page, accelerators.page)
    with hardware.reading() as tx:
        before = [len(page(tx)) for page in lists]
    with hardware.transaction() as tx:
        tx.exec_driver_sql(f"UPDATE {table} SET {column} = 'newer'")  # noqa: S608 - names of ours
    with hardware.reading() as tx:
        assert [len(page(tx)) for page in lists] == before
        with pytest.raises(ValueError, match="newer"):
            hosts.load(tx, HOST)
