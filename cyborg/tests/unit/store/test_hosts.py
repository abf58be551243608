# SPDX-License-Identifier: Apache-2.0
"""What is saved of a host is what is loaded, and what the schema forbids cannot be saved."""

import dataclasses
from typing import Any

import pytest
from sqlalchemy import func, null, select

from cyborg.domain import errors, inventory, reconcile, report
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.store import attributes, hosts, models
from cyborg.store.columns import now
from cyborg.store.engine import Store
from cyborg.tests.databases import recorded
from cyborg.tests.unit.store import builders
from cyborg.tests.unit.store.builders import HOST, apply, card, fpga, hold, seen, stored


def units(host: inventory.Host) -> list[inventory.Accelerator]:
    return [unit for _, _, unit in host.units()]


def count(store: Store, table: type[models.Base]) -> int:
    with store.reading() as tx:
        return tx.execute(select(func.count()).select_from(table)).scalar_one()


def save(store: Store, before: inventory.Host, after: inventory.Host) -> inventory.Host:
    with store.transaction() as tx:
        return hosts.save(tx, before, after)


def test_a_host_that_never_reported_is_none(store: Store) -> None:
    with store.transaction() as tx:
        assert hosts.load(tx, HOST) is None


def test_a_host_is_created_once(store: Store) -> None:
    with store.transaction() as tx:
        first = hosts.get_or_create(tx, HOST)
    with store.transaction() as tx:
        assert hosts.get_or_create(tx, HOST) == first


def test_names_of_hosts_differ_by_case(store: Store) -> None:
    with store.transaction() as tx:
        assert hosts.get_or_create(tx, "compute-1").id != hosts.get_or_create(tx, "Compute-1").id


def test_threads_that_create_a_host_at_once_get_one_host(store: Store) -> None:
    def create() -> int | None:
        with store.transaction() as tx:
            return hosts.get_or_create(tx, HOST).id

    answers = builders.together([lambda: store.retrying(create)] * 4)
    assert len(set(answers)) == 1
    assert isinstance(answers[0], int)


def test_what_is_saved_is_what_is_loaded(store: Store) -> None:
    odd = card(
        7,
        serial="ünï-😀",
        numa_node=1,
        health=report.Health.DEGRADED,
        health_reasons=("hot", "slow"),
        facts={"z": [1, 2.5, None], "a": {"deep": True}},
    )
    after = apply(store, seen(card(1, units=4), fpga(), odd))
    assert stored(store) == after
    top, *regions = after.devices[1].deployables
    assert [part.parent_key for part in regions] == [top.key, top.key]
    assert all(part.traits > top.traits for part in regions)


def test_a_region_knows_its_parent_and_root(store: Store) -> None:
    after = apply(store, seen(fpga()))
    with store.reading() as tx:
        rows = tx.execute(select(models.Deployable).order_by(models.Deployable.id)).all()
    top = after.devices[0].deployables[0].id
    assert [(row.parent_id, row.root_id) for row in rows] == [(None, None), (top, top), (top, top)]


def test_a_held_region_outlives_the_part_above_it(store: Store) -> None:
    before = apply(store, seen(fpga()))
    (holder,) = builders.requests(store)
    held = units(before)[0]
    before = save(store, before, hold(before, {held.uuid: holder.uuid}))
    bare = dataclasses.replace(
        fpga(), deployables=(report.Deployable(key="other", resource_class="FPGA", traits=frozenset()),)
    )
    after = apply(store, seen(bare))
    kept = next(part for part in after.devices[0].deployables if part.key == "region0")
    assert (kept.parent_key, kept.accelerators[0].holder, kept.accelerators[0].missing) == (None, holder.uuid, True)
    assert stored(store) == after
    assert apply(store, seen(fpga())) == stored(store)


def test_saving_nothing_new_is_no_statement(store: Store) -> None:
    before = apply(store, seen(card(1), fpga()))
    with store.transaction() as tx, recorded(store) as statements:
        assert hosts.save(tx, before, before) == before
    assert statements == []


def test_a_device_that_is_gone_leaves_no_row(store: Store) -> None:
    apply(store, seen(card(1), fpga()))
    apply(store, seen(), absence_limit=1)
    assert stored(store).devices == ()
    for table in (models.Device, models.Deployable, models.Accelerator, models.Attribute):
        assert count(store, table) == 0


def test_two_cards_may_exchange_their_identities(store: Store) -> None:
    before = apply(store, seen(card(1, serial="A"), card(2, serial="B"), card(3)))
    one, two, three = before.devices
    after = dataclasses.replace(
        before,
        devices=(
            dataclasses.replace(one, serial="B"),
            dataclasses.replace(two, serial="A"),
            dataclasses.replace(three, serial="C"),
        ),
    )
    assert save(store, before, after) == after == stored(store)


def test_a_new_card_may_have_the_identity_that_another_gives_up(store: Store) -> None:
    before = apply(store, seen(card(1)))
    after = apply(store, seen(card(1, serial="A"), dataclasses.replace(card(2), address="0000:02:00.0")))
    assert after.devices[0].uuid == before.devices[0].uuid
    moved = apply(store, seen(card(2, serial="A"), card(1)))
    assert {device.address for device in moved.devices} == {"0000:01:00.0", "0000:02:00.0"}
    assert moved == stored(store)


def test_two_devices_of_one_identity_are_refused_by_name(store: Store) -> None:
    with store.transaction() as tx:
        before = hosts.get_or_create(tx, HOST)
        planned = reconcile.plan(before, seen(card(1, serial="A"), card(2, serial="B")))
        twins = tuple(dataclasses.replace(device, serial="A") for device in planned.devices)
        with pytest.raises(errors.Conflict, match=r"serial:A.*0000:01:00.0 and 0000:02:00.0"):
            hosts.save(tx, before, dataclasses.replace(planned, devices=twins))


def test_the_same_identity_may_be_on_two_hosts(store: Store) -> None:
    apply(store, seen(card(1, serial="A")))
    assert apply(store, seen(card(1, serial="A"), host="compute-2")) == stored(store, "compute-2")


def test_a_trait_that_changes_leaves_the_rows_of_the_others_alone(store: Store) -> None:
    apply(store, seen(card(1)))
    with store.reading() as tx:
        before = {row.key: row.uuid for row in attributes.page(tx)}
    changed = dataclasses.replace(card(1).deployables[0], traits=frozenset({"CUSTOM_GPU", "CUSTOM_NEW"}))
    apply(store, seen(card(1, deployables=(changed,))))
    with store.reading() as tx:
        after = {row.key: row.uuid for row in attributes.page(tx)}
    assert set(after) == {"rc", "trait:CUSTOM_GPU", "trait:CUSTOM_NEW"}
    assert all(after[key] == before[key] for key in set(after) & set(before))


def test_attributes_of_the_api_survive_reports_and_are_not_traits(store: Store) -> None:
    host = apply(store, seen(card(1)))
    part = host.devices[0].deployables[0]
    assert part.id is not None
    with store.transaction() as tx:
        note = attributes.create(tx, deployable_id=part.id, key="trait9", value="CUSTOM_MINE")
        attributes.create(tx, deployable_id=part.id, key="rc", value="CUSTOM_MINE")
    again = apply(store, seen(card(1, units=2)))
    assert again.devices[0].deployables[0].traits == part.traits
    assert again.devices[0].deployables[0].resource_class == "PGPU"
    with store.reading() as tx:
        assert attributes.get(tx, note.uuid) == note


@pytest.mark.parametrize("devices", [1, 100])
def test_loading_is_three_statements_whatever_the_hardware(store: Store, devices: int) -> None:
    apply(store, seen(*(card(number, units=16) for number in range(devices)), fpga(0xF0)))
    with store.transaction() as tx, recorded(store) as statements:
        found = hosts.load(tx, HOST)
    assert found is not None
    assert len(units(found)) == devices * 16 + 2
    assert len(statements) == 3


def test_the_first_report_is_as_many_statements_for_much_hardware_as_for_little(store: Store) -> None:
    with recorded(store) as few:
        apply(store, seen(card(1, units=2), host="small"))
    with recorded(store) as many:
        apply(store, seen(*(card(number, units=16) for number in range(100)), host="large"))
    assert len(many) == len(few)
    assert len(many) <= 14


def test_claims_of_any_number_are_one_statement_and_so_are_releases(store: Store) -> None:
    before = apply(store, seen(card(1, units=8)))
    holders = builders.requests(store, 8)
    wanted = hold(before, dict(zip([unit.uuid for unit in units(before)], [one.uuid for one in holders], strict=True)))
    with recorded(store) as claim:
        after = save(store, before, wanted)
    with recorded(store) as release:
        freed = save(store, after, before)
    assert (len(claim), len(release)) == (1, 1)
    assert stored(store) == freed == before


def test_a_claim_on_an_old_picture_of_the_host_steals_nothing(store: Store) -> None:
    before = apply(store, seen(card(1)))
    first, second = builders.requests(store, 2)
    (unit,) = units(before)
    save(store, before, hold(before, {unit.uuid: first.uuid}))
    with pytest.raises(errors.Conflict, match="held by another request"):
        save(store, before, hold(before, {unit.uuid: second.uuid}))
    assert units(stored(store))[0].holder == first.uuid


def test_a_release_on_an_old_picture_of_the_host_frees_nothing(store: Store) -> None:
    before = apply(store, seen(card(1)))
    first, second = builders.requests(store, 2)
    (unit,) = units(before)
    held = save(store, before, hold(before, {unit.uuid: first.uuid}))
    free = save(store, held, before)
    save(store, free, hold(free, {unit.uuid: second.uuid}))
    with pytest.raises(errors.Conflict):
        save(store, held, before)
    assert units(stored(store))[0].holder == second.uuid


def test_a_unit_that_is_held_by_now_is_not_removed(store: Store) -> None:
    before = apply(store, seen(card(1)))
    (holder,) = builders.requests(store)
    save(store, before, hold(before, {units(before)[0].uuid: holder.uuid}))
    with pytest.raises(errors.Conflict, match="held by a request"):
        save(store, before, dataclasses.replace(before, devices=()))
    assert units(stored(store))[0].holder == holder.uuid


def test_a_unit_may_be_released_and_forgotten_at_once(store: Store) -> None:
    before = apply(store, seen(card(1)))
    (holder,) = builders.requests(store)
    held = save(store, before, hold(before, {units(before)[0].uuid: holder.uuid}))
    assert save(store, held, dataclasses.replace(held, devices=())).devices == ()


def test_a_request_cannot_hold_two_accelerators(store: Store) -> None:
    before = apply(store, seen(card(1, units=2)))
    (holder,) = builders.requests(store)
    with pytest.raises(errors.Conflict, match="cannot hold two"):
        save(store, before, hold(before, {unit.uuid: holder.uuid for unit in units(before)}))
    assert stored(store) == before


def test_a_request_that_is_gone_cannot_hold(store: Store) -> None:
    before = apply(store, seen(card(1)))
    with pytest.raises(errors.NotFound, match="was deleted"):
        save(store, before, hold(before, {units(before)[0].uuid: builders.new_uuid()}))


def test_of_many_claims_at_once_each_gets_its_own_accelerator_or_none(store: Store) -> None:
    apply(store, seen(card(1, units=3)))
    holders = builders.requests(store, 6)

    def claim(arq_uuid: str) -> str | None:
        with store.transaction() as tx:
            before = hosts.load(tx, HOST)
            assert before is not None
            free = [unit for unit in units(before) if unit.holder is None]
            if not free:
                return None
            hosts.save(tx, before, hold(before, {free[0].uuid: arq_uuid}))
            return free[0].uuid

    answers = builders.together([lambda one=one: store.retrying(claim, one.uuid) for one in holders])  # type: ignore[misc]
    given = [answer for answer in answers if answer is not None]
    assert len(given) == len(set(given)) == 3
    assert all(isinstance(unit, str) for unit in given)


def test_the_hosts_of_requests_and_devices_are_found(store: Store) -> None:
    first = apply(store, seen(card(1)))
    second = apply(store, seen(card(1), host="compute-2"))
    one, two, idle = builders.requests(store, 3)
    for host, holder in ((first, one), (second, two)):
        save(store, host, hold(host, {units(host)[0].uuid: holder.uuid}))
    with store.transaction() as tx:
        assert hosts.names_of_arqs(tx, [two.uuid, one.uuid, idle.uuid]) == (HOST, "compute-2")
        assert hosts.names_of_arqs(tx, []) == ()
        assert hosts.of_device(tx, second.devices[0].uuid) == "compute-2"
        assert hosts.of_device(tx, idle.uuid) is None


def test_an_unchanged_report_is_two_statements(store: Store) -> None:
    host = apply(store, seen(card(1)))
    with store.transaction() as tx:
        hosts.set_digest(tx, host, "fake_driver", "digest")
        hosts.set_digest(tx, host, "pci_driver", "other")
        hosts.set_digest(tx, host, "fake_driver", "newer")
        hosts.sync(tx, HOST, builders.PROVIDER, {})
    with store.transaction() as tx, recorded(store) as statements:
        answer = hosts.sync(tx, HOST, builders.PROVIDER, {"fake_driver": "newer", "pci_driver": "other"})
    assert answer == hosts.Sync(
        stale=(),
        generation=1,
        digests={"fake_driver": "newer", "pci_driver": "other"},
        sequences={"fake_driver": 2, "pci_driver": 1},
    )
    assert len(statements) == 2


@pytest.mark.parametrize(
    ("given", "stale"),
    [({"a": "1"}, ()), ({"a": "2"}, ("a",)), ({"b": "1"}, ("b",)), ({"a": "1", "c": "2", "d": ""}, ("c",))],
)
def test_a_digest_that_is_not_the_stored_one_asks_for_a_report(
    store: Store, given: dict[str, str], stale: tuple[str, ...]
) -> None:
    host = apply(store, seen())
    with store.transaction() as tx:
        hosts.set_digest(tx, host, "a", "1")
        hosts.set_digest(tx, host, "c", "")
        assert hosts.sync(tx, HOST, None, given).stale == stale


def test_the_first_sync_makes_the_host(store: Store) -> None:
    with store.transaction() as tx:
        answer = hosts.sync(tx, HOST, builders.PROVIDER, {"a": "1"})
    assert answer == hosts.Sync(stale=("a",), generation=0, digests={}, sequences={"a": 0})
    assert stored(store).provider_uuid == builders.PROVIDER


def test_a_provider_that_appears_makes_a_new_generation_and_one_that_is_unknown_changes_nothing(store: Store) -> None:
    with store.transaction() as tx:
        assert hosts.sync(tx, HOST, None, {}).generation == 0
        assert hosts.sync(tx, HOST, builders.PROVIDER, {}).generation == 1
        assert hosts.sync(tx, HOST, None, {}).generation == 1
        assert hosts.sync(tx, HOST, builders.PROVIDER, {}).generation == 1
    assert (stored(store).provider_uuid, stored(store).generation) == (builders.PROVIDER, 1)


def test_a_decision_on_a_host_that_changed_meanwhile_is_refused(store: Store) -> None:
    before = apply(store, seen())
    with store.transaction() as tx:
        hosts.sync(tx, HOST, builders.PROVIDER, {})
    with pytest.raises(errors.Conflict, match="has changed"):
        save(store, before, dataclasses.replace(before, generation=before.generation + 1))


@pytest.mark.parametrize(
    "change",
    [
        {"status": inventory.DeviceStatus.MAINTAINING},
        {"numa_node": 3},
        {"absences": 2},
        {"facts": {}},
        {"health_reasons": ("gone",)},
        {"capabilities": frozenset({"cleans"})},
        {"type": report.DeviceType.QAT},
    ],
)
def test_every_change_of_a_device_is_written(store: Store, change: dict[str, Any]) -> None:
    before = apply(store, seen(card(1), card(2)))
    device = dataclasses.replace(before.devices[0], **change)
    after = dataclasses.replace(before, devices=(device, *before.devices[1:]))
    assert save(store, before, after) == after == stored(store)


def test_the_shape_of_a_new_host_is_the_one_it_asks_for_and_a_known_one_keeps_its_own(store: Store) -> None:
    nested = Shape(layout=Layout.NESTED, naming=Naming.TYPED)
    with store.transaction() as tx:
        assert hosts.sync(tx, HOST, builders.PROVIDER, {}, nested).shape == nested
        assert hosts.sync(tx, HOST, builders.PROVIDER, {}).shape == nested
    assert stored(store).shape == nested


def test_shape_move_and_owned_classes_are_saved(store: Store) -> None:
    before = apply(store, seen(card(1)))
    after = dataclasses.replace(
        before,
        shape=Shape(layout=Layout.NESTED),
        moving_to=Shape(naming=Naming.TYPED),
        owned_classes=frozenset({"PGPU", "CUSTOM_ACCELERATOR"}),
    )
    assert save(store, before, after) == after == stored(store)
    done = dataclasses.replace(after, moving_to=None)
    assert save(store, after, done) == done == stored(store)


def test_a_sync_brings_a_host_up_again_whatever_was_read_before(store: Store) -> None:
    with store.transaction() as tx:
        hosts.sync(tx, HOST, builders.PROVIDER, {})
        before = hosts.get_or_create(tx, HOST)
        hosts.save(tx, before, dataclasses.replace(before, down_since=now(), generation=7))
    with store.transaction() as tx:
        answer = hosts.sync(tx, HOST, builders.PROVIDER, {})
        again = hosts.load(tx, HOST)
    assert (answer.generation, answer.returned) == (8, True)
    assert again is not None
    assert (again.generation, again.down_since) == (8, None)
    with store.transaction() as tx:
        assert not hosts.sync(tx, HOST, builders.PROVIDER, {}).returned


def test_only_the_report_that_was_asked_for_is_noted(store: Store) -> None:
    with store.transaction() as tx:
        host = hosts.get_or_create(tx, HOST)
        hosts.set_digest(tx, host, "a", "1", 0)
        hosts.set_digest(tx, host, "a", "2", 1)
        for old in (0, 1, 3):
            with pytest.raises(errors.Conflict):
                hosts.set_digest(tx, host, "a", "1", old)
        hosts.set_digest(tx, host, "a", "3")
        assert hosts.sync(tx, HOST, None, {"a": "3", "b": ""}).sequences == {"a": 3, "b": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"work": "33333333-3333-4333-8333-333333333333"},
        {"work": "33333333-3333-4333-8333-333333333333", "quarantine": "it does not answer"},
        {"attached": {"bus": "3b", "physical_network": None}},
    ],
)
def test_every_mark_of_host_work_is_written_and_taken_away(store: Store, change: dict[str, Any]) -> None:
    host = apply(store, seen(card(1)))

    def marked(of: inventory.Host, marks: dict[str, Any]) -> inventory.Host:
        return of.map_accelerators(lambda unit: dataclasses.replace(unit, **marks))

    with store.transaction() as tx:
        hosts.save(tx, host, marked(host, change))
    assert stored(store) == marked(host, change)
    now_stored = stored(store)
    with store.transaction() as tx:
        hosts.save(tx, now_stored, host)
    assert stored(store) == host
    with store.reading() as tx:
        row = tx.execute(select(models.Accelerator.id).where(models.Accelerator.attached.is_(null()))).all()
    assert row, "nothing attached is SQL NULL"
