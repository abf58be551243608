# SPDX-License-Identifier: Apache-2.0
"""Profiles: unique by name to the letter, and their groups come back as they were given."""

import datetime

import pytest

from cyborg.domain import errors, profile
from cyborg.store import device_profiles, paging
from cyborg.store.engine import Store
from cyborg.store.records import ProfileRecord
from cyborg.tests.databases import recorded
from cyborg.tests.unit.store import builders

GROUPS = [
    {
        "resources:CUSTOM_ACCELERATOR": "2",
        "trait:CUSTOM_GPU": "required",
        "accel:function_name": "1",
        "accel:bitstream_name": "ü😀",
    },
    {"trait:CUSTOM_FPGA": "forbidden", "resources:FPGA": "1"},
]


def create(store: Store, name: str = "gpu", uuid: str | None = None) -> ProfileRecord:
    with store.transaction() as tx:
        return device_profiles.create(tx, uuid=uuid or builders.new_uuid(), name=name, groups=GROUPS)


def test_groups_keep_their_order_and_that_of_their_keys(store: Store) -> None:
    made = create(store)
    with store.reading() as tx:
        found = device_profiles.get(tx, made.uuid)
    assert found == made
    assert [list(group.items()) for group in found.groups] == [list(group.items()) for group in GROUPS]


def test_times_are_utc_to_the_microsecond(store: Store) -> None:
    before = datetime.datetime.now(datetime.UTC)
    made = create(store)
    after = datetime.datetime.now(datetime.UTC)
    assert before <= made.created_at <= after
    assert made.created_at.utcoffset() == datetime.timedelta(0)
    assert made.updated_at is None


def test_names_that_differ_by_case_are_two_names(store: Store) -> None:
    lower, upper = create(store, "gpu"), create(store, "Gpu")
    with store.reading() as tx:
        assert device_profiles.get(tx, "gpu") == lower
        assert device_profiles.get(tx, "Gpu") == upper
        assert device_profiles.page(tx, device_profiles.Filter(names=["GPU"])) == []


def test_a_name_is_taken_once(store: Store) -> None:
    create(store)
    with pytest.raises(errors.AlreadyExists, match="'gpu'"):
        create(store)


def test_a_uuid_is_taken_once_and_told_apart_from_a_name(store: Store) -> None:
    made = create(store)
    with pytest.raises(errors.Conflict, match=made.uuid) as caught:
        create(store, "other", made.uuid)
    assert not isinstance(caught.value, errors.AlreadyExists)


def test_a_uuid_goes_before_a_name_that_looks_like_it(store: Store) -> None:
    made = create(store)
    create(store, made.uuid)
    with store.reading() as tx:
        assert device_profiles.get(tx, made.uuid) == made


def test_an_unknown_profile_is_not_found(store: Store) -> None:
    with pytest.raises(errors.NotFound, match="'nobody'"), store.reading() as tx:
        device_profiles.get(tx, "nobody")


def test_deleting_says_how_many_there_were(store: Store) -> None:
    made = create(store)
    with store.transaction() as tx:
        device_profiles.delete(tx, made)
        assert device_profiles.page(tx) == []


@pytest.mark.parametrize("stored", [10, 2000])
def test_a_list_is_one_statement_however_many_there_are(store: Store, stored: int) -> None:
    with store.transaction() as tx:
        for number in range(stored // 100):
            device_profiles.create(tx, uuid=builders.new_uuid(), name=f"p{number}", groups=GROUPS)
    with store.reading() as tx, recorded(store) as statements:
        assert len(device_profiles.page(tx)) == stored // 100
        assert [one.name for one in device_profiles.page(tx, device_profiles.Filter(names=["p0", "none"]))] == [
            "p0" for _ in range(min(1, stored // 100))
        ]
    assert len(statements) == 2


def test_pages_follow_each_other_in_any_order_and_miss_nothing(store: Store) -> None:
    made = [create(store, name) for name in ("c", "a", "d", "b", "e")]
    for sort, descending in (("id", False), ("id", True), ("name", False), ("name", True), ("created_at", True)):
        wanted = sorted(made, key=lambda one: getattr(one, sort), reverse=descending)
        found: list[ProfileRecord] = []
        with store.reading() as tx:
            while part := device_profiles.page(
                tx,
                part=paging.Page(limit=2, marker=found[-1].uuid if found else None, sort=sort, descending=descending),
            ):
                found.extend(part)
        assert found == wanted


def test_an_unknown_marker_and_an_unknown_order_are_refused(store: Store) -> None:
    create(store)
    with store.reading() as tx, pytest.raises(errors.InvalidRequest, match="marker"):
        device_profiles.page(tx, part=paging.Page(marker=builders.new_uuid()))
    with pytest.raises(errors.InvalidRequest, match="created_at, id, name, uuid"), store.reading() as tx:
        device_profiles.page(tx, part=paging.Page(sort="groups; DROP"))


@pytest.mark.parametrize("name", ["x" * 300, "half\ud800", "nul\0"])
def test_what_cannot_be_stored_is_refused_without_a_word_of_sql(store: Store, name: str) -> None:
    if store.engine.name == "sqlite" and name.isascii():
        pytest.skip("SQLite keeps long names and NULs whole")
    if store.engine.name == "mysql" and "\0" in name:
        pytest.skip("MariaDB keeps NULs whole")
    with pytest.raises(errors.InvalidRequest, match=r"^A value is too long, too large or of a form"):
        create(store, name)


def test_a_change_counts_and_an_old_picture_is_refused(store: Store) -> None:
    made = create(store)
    with store.transaction() as tx:
        changed = device_profiles.update(tx, made, {"description": "new"})
    assert (changed.generation, changed.description, changed.groups) == (made.generation + 1, "new", made.groups)
    for late in (device_profiles.update, lambda tx, found, _: device_profiles.delete(tx, found, generation=0)):
        with pytest.raises(errors.Conflict, match="Read it again"), store.transaction() as tx:
            late(tx, made, {"description": "late"})
    with store.transaction() as tx:
        with pytest.raises(errors.Conflict, match="generation 1, not 0"):
            device_profiles.check_generation(device_profiles.get(tx, made.uuid), 0)
        device_profiles.delete(tx, changed, generation=changed.generation)
        with pytest.raises(errors.NotFound):
            device_profiles.get(tx, made.uuid)


def test_a_private_profile_is_seen_by_the_projects_it_is_shared_with(store: Store) -> None:
    made = create(store)
    with store.transaction() as tx:
        private = device_profiles.update(tx, made, {"visibility": profile.Visibility.PRIVATE})
        device_profiles.share(tx, private, ["one", "two"])
        device_profiles.share(tx, private, ["two", "three"])
    with store.reading() as tx:
        assert device_profiles.shares(tx, [made.id]) == {made.id: ["three", "two"]}
        for project, found in (("one", 0), ("two", 1), ("three", 1), (None, 1)):
            assert len(device_profiles.page(tx, device_profiles.Filter(seen_by=project))) == found
        with pytest.raises(errors.NotFound):
            device_profiles.get(tx, made.name, seen_by="one")
        assert device_profiles.get(tx, made.name, seen_by="two").uuid == made.uuid


def test_shares_go_with_their_profile(store: Store) -> None:
    made = create(store)
    with store.transaction() as tx:
        device_profiles.share(tx, made, ["one"])
        device_profiles.delete(tx, made)
        assert device_profiles.shares(tx, [made.id]) == {}
