# SPDX-License-Identifier: Apache-2.0
"""What every object on the wire has: links and times."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import pecan

from cyborg.api import microversions
from cyborg.api.request import Request
from cyborg.api.schemas.common import LATER_STATES
from cyborg.domain import inventory

Wire = dict[str, Any]
#: What a version that does not know a state of accelerators shows in its place: neither is to be had, the first because
#: a request is about to hold it, the second though nobody holds it.
OLDER_STATES = {"reserved": "held", "cleaning": "disabled"}


def links(request: Request, collection: str, uuid: str) -> list[dict[str, str]]:
    return [{"href": request.link("v2", collection, uuid), "rel": "self"}]


def tag(request: Request, response: pecan.Response, generation: int) -> None:
    """Say at which generation the object is that is answered alone."""
    if request.version >= microversions.DETAILS:
        response.etag = str(generation)


def state(request: Request, found: str) -> str:
    """A state of an accelerator as the version that is asked for knows it."""
    return OLDER_STATES[found] if _is_later(request, found) else found


def states_shown_as(request: Request, shown: str) -> list[str]:
    """The states that the version shows like that."""
    return [str(one) for one in inventory.AcceleratorState if state(request, str(one)) == shown]


def counts(request: Request, found: Mapping[str, int]) -> Wire:
    """Numbers of accelerators by every state that the version knows."""
    shown: Wire = {str(one): 0 for one in inventory.AcceleratorState if not _is_later(request, str(one))}
    for one, number in found.items():
        shown[state(request, one)] += number
    return shown


def _is_later(request: Request, found: str) -> bool:
    return found in LATER_STATES and request.version < LATER_STATES[found]


def time(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def listed(collection: str, items: Sequence[Wire]) -> Wire:
    """The collection's key comes first: clients look at the first key."""
    return {collection: list(items)}
