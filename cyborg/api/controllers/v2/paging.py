# SPDX-License-Identifier: Apache-2.0
"""The part of a list that ``filters.field`` and ``filters.value`` pairs ask for."""

from typing import Any

from cyborg.api.request import Request
from cyborg.api.schemas import common
from cyborg.domain import errors
from cyborg.store.paging import Page


def page(request: Request, query: dict[str, Any], pairs: dict[str, str]) -> Page:
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
