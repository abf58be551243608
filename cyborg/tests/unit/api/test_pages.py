# SPDX-License-Identifier: Apache-2.0
"""Every collection has pages, whatever comes in between: nothing twice, nothing missed, never more than the limit."""

from collections.abc import Iterator

import pytest

from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import COLLECTIONS, Api

KEYS = {"accelerator_requests": "arqs"}
BASE = "http://cloud:6666"


def grow(api: Api, number: int) -> None:
    """One more of everything."""
    api.report(builders.mixed_host(f"host-{number}"))
    api.profile(f"gpu-{number}")
    api.request(f"gpu-{number}")
    api.operation()


@pytest.fixture
def few(api: Api) -> Iterator[Api]:
    for number in range(3):
        grow(api, number)
    yield api
    api.conf.clear_override("max_limit", "api")


def uuids(api: Api, collection: str, path: str) -> tuple[list[str], str | None]:
    """(those of the page, where the next one is)."""
    answer = api.call("GET", path, version="latest").json
    key = KEYS.get(collection, collection)
    following = answer.get(f"{key}_links")
    return [one["uuid"] for one in answer[key]], following and following[0]["href"].removeprefix(BASE)


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize("order", ["", "sort_key=uuid&", "sort_key=created_at&sort_dir=desc&"])
def test_what_comes_between_two_pages_neither_repeats_nor_hides_an_item(few: Api, collection: str, order: str) -> None:
    before, _ = uuids(few, collection, f"/v2/{collection}?{order}")
    seen: list[str] = []
    path: str | None = f"/v2/{collection}?{order}limit=2"
    number = 3
    while path is not None:
        found, path = uuids(few, collection, path)
        seen += found
        if number < 5:
            grow(few, number)
            number += 1
    assert len(seen) == len(set(seen))
    assert [uuid for uuid in seen if uuid in before] == before


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_page_is_never_larger_than_the_operator_allows(few: Api, collection: str) -> None:
    few.conf.set_override("max_limit", 2, "api")
    for path in (f"/v2/{collection}", f"/v2/{collection}?limit=100"):
        found, following = uuids(few, collection, path)
        assert len(found) == 2
        assert following is not None
