# SPDX-License-Identifier: Apache-2.0
"""The part of a list that a query asks for, and the answer that says where the next part is.

    listing = paging.read(request)
    found = devices.page(tx, devices.Filter(type=listing.query.get("type")), listing.part)
    return listing.answer(view.COLLECTION, [view.one(request, record) for record in found])

Below the version with pages, ``filters.field`` and ``filters.value`` pairs may limit and sort some lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cyborg.api import microversions, routing
from cyborg.api.request import Request
from cyborg.api.schemas import common
from cyborg.api.views.common import Wire, listed
from cyborg.domain import errors
from cyborg.store.paging import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """``part`` asks for one item more than the page has room for, ``size``: so it is known whether there is a next."""

    request: Request
    query: dict[str, Any]
    pairs: dict[str, str]
    part: Page
    size: int | None

    def uuid(self, name: str) -> str | None:
        """The argument ``name`` as a uuid; None when it is not given."""
        found = self.query.get(name)
        return None if found is None else common.uuid_of(found, name)

    def answer(self, collection: str, items: Sequence[Wire], listed_as: str | None = None) -> Wire:
        """The collection and, when something follows, its link."""
        key = listed_as or collection
        answer = listed(key, items[: self.size])
        if self.size is not None and len(items) > self.size:
            query = urlencode(self.query | {"marker": items[self.size - 1]["uuid"]})
            href = f"{self.request.link('v2', collection)}?{query}"
            answer[f"{key}_links"] = [{"href": href, "rel": "next"}]
        return answer


def read(request: Request) -> Listing:
    """The query of a list, checked; raises InvalidRequest."""
    query = request.read_query()
    if request.version >= microversions.PAGES:
        most = request.services.conf.api.max_limit
        size = min(int(query.get("limit", most)), most)
        return Listing(request=request, query=query, pairs={}, part=_page(query, size), size=size)
    pairs = common.pairs_of(query)
    paired = "filters.field" in routing.form_at(request.route, request.version).query["properties"]
    part = _page_of_pairs(request, query, pairs) if paired else Page()
    return Listing(request=request, query=query, pairs=pairs, part=part, size=None)


def _page(query: dict[str, Any], size: int) -> Page:
    marker = query.get("marker")
    return Page(
        limit=size + 1,
        marker=None if marker is None else common.uuid_of(marker, "marker"),
        sort=query.get("sort_key", "id"),
        descending=query.get("sort_dir") == "desc",
    )


def _page_of_pairs(request: Request, query: dict[str, Any], pairs: dict[str, str]) -> Page:
    """Newest first when anything is filtered, else in the order of creation; fields without effect are allowed."""
    descending = bool(query)
    if "sort_dir" in pairs:
        descending = common.choice_of(pairs["sort_dir"], "sort_dir", ("asc", "desc")) == "desc"
    limit = None
    if "limit" in pairs:
        limit = min(common.integer_of(pairs["limit"], "limit"), request.services.conf.api.max_limit)
        if limit == 0:
            raise errors.InvalidRequest("limit must be at least 1.")
    sort = pairs.get("sort_key", "created_at" if query else "id")
    return Page(limit=limit, sort=sort, descending=descending)
