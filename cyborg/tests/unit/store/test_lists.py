# SPDX-License-Identifier: Apache-2.0
"""Devices, deployables and attributes as lists show them."""

import pytest

from cyborg.domain import errors, report
from cyborg.store import attributes, deployables, devices, hosts, paging
from cyborg.store.engine import Store
from cyborg.store.models import Origin
from cyborg.tests.databases import recorded
from cyborg.tests.unit.store import builders
from cyborg.tests.unit.store.builders import HOST, PROVIDER, apply, card, fpga, seen


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
