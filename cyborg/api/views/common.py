# SPDX-License-Identifier: Apache-2.0
"""What every object on the wire has: links and times."""

import datetime
from collections.abc import Sequence
from typing import Any

import pecan

from cyborg.api import microversions
from cyborg.api.request import Request

Wire = dict[str, Any]


def links(request: Request, collection: str, uuid: str) -> list[dict[str, str]]:
    return [{"href": request.link("v2", collection, uuid), "rel": "self"}]


def tag(request: Request, response: pecan.Response, generation: int) -> None:
    """Say at which generation the object is that is answered alone."""
    if request.version >= microversions.DETAILS:
        response.etag = str(generation)


def time(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def listed(collection: str, items: Sequence[Wire]) -> Wire:
    """The collection's key comes first: clients look at the first key."""
    return {collection: list(items)}
