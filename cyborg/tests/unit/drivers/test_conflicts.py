# SPDX-License-Identifier: Apache-2.0
"""What would be taken from others is worked out from values, before anything is touched."""

import pytest

from cyborg.drivers import conflicts

PF, ONE, TWO = "0000:3b:00.0", "0000:3b:00.1", "0000:3b:00.2"
NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("existing", "held", "why"),
    [
        ([], NOBODY, None),
        ([], {TWO}, None),
        ([], {PF}, "is held whole"),
        ([ONE], {ONE}, f"{ONE} is held"),
        ([ONE], NOBODY, "1 other virtual functions already"),
    ],
)
def test_the_number_of_vfs_is_set_only_on_a_card_without_any(
    existing: list[str], held: set[str], why: str | None
) -> None:
    found = conflicts.vf_count(PF, existing, frozenset(held))
    assert found is None if why is None else why in (found or "")


@pytest.mark.parametrize(
    ("existing", "held", "why"),
    [
        ({ONE: None, TWO: None}, NOBODY, None),
        ({ONE: None, TWO: None}, {PF}, None),
        ({ONE: None, TWO: None}, {TWO}, f"{TWO} is held"),
        ({ONE: "vfio-pci", TWO: None}, NOBODY, f"{ONE} is bound to vfio-pci"),
        ({ONE: None}, NOBODY, "1 exist and 2 were to be made"),
    ],
)
def test_vfs_are_taken_back_only_when_all_of_them_are_free(
    existing: dict[str, str | None], held: set[str], why: str | None
) -> None:
    assert conflicts.vf_removal(existing, 2, frozenset(held)) == why


@pytest.mark.parametrize(
    ("types", "possible", "held", "why"),
    [
        ({ONE: 0, TWO: 0}, {7, 8}, NOBODY, None),
        ({ONE: 7, TWO: 8}, set(), NOBODY, None),
        ({ONE: 0, TWO: 8}, {7}, {TWO}, None),
        ({ONE: 0, TWO: 8}, set(), {TWO}, f"{TWO} is held as a virtual GPU of type 8"),
        ({ONE: 0, TWO: 8}, set(), NOBODY, f"{TWO} is a virtual GPU of type 8"),
        ({ONE: 8, TWO: 0}, {7}, NOBODY, f"{ONE} is a virtual GPU of type 8 already, made by somebody else"),
        ({ONE: 0, TWO: 0}, {7}, {ONE}, f"{ONE} is held by another request"),
        ({ONE: 0, TWO: None}, {8}, NOBODY, f"{ONE} does not take type 7 now"),
    ],
)
def test_a_type_is_given_only_where_no_sibling_has_another_that_it_clashes_with(
    types: dict[str, int | None], possible: set[int], held: set[str], why: str | None
) -> None:
    assert conflicts.vgpu_type(ONE, 7, types, possible, frozenset(held)) == why


@pytest.mark.parametrize(
    ("neighbours", "held", "why"),
    [
        ({}, NOBODY, None),
        ({ONE: None, TWO: "vfio-pci"}, NOBODY, None),
        ({ONE: None, TWO: "vfio-pci"}, {TWO}, f"{TWO} there is held"),
        ({ONE: "ahci"}, NOBODY, f"{ONE} there is used by the host's driver ahci"),
    ],
)
def test_a_bus_is_reset_only_when_all_of_it_is_free(
    neighbours: dict[str, str | None], held: set[str], why: str | None
) -> None:
    assert conflicts.bus_reset(neighbours, frozenset(held)) == why


def test_what_reaches_a_whole_card_waits_for_the_last_of_it() -> None:
    assert conflicts.reach([ONE, TWO], frozenset({PF})) is None
    assert conflicts.reach([ONE, TWO], frozenset({TWO})) == f"it reaches {TWO}, which is held"
