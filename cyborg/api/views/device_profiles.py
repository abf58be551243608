# SPDX-License-Identifier: Apache-2.0
"""Device profiles on the wire; one that is shown alone has times in another form, on which clients rely."""

from collections.abc import Mapping, Sequence

from cyborg.api import microversions
from cyborg.api.request import Request
from cyborg.api.views import common
from cyborg.store.records import ProfileRecord

COLLECTION = "device_profiles"


#: The projects that a private profile is shared with, by its id; None for who may not see them.
Shares = Mapping[int, Sequence[str]] | None


def one(request: Request, record: ProfileRecord, shares: Shares = None) -> common.Wire:
    wire: common.Wire = {
        "uuid": record.uuid,
        "name": record.name,
        "description": record.description,
        "groups": [dict(group) for group in record.groups],
        "created_at": common.time(record.created_at),
        "updated_at": common.time(record.updated_at),
        "links": common.links(request, COLLECTION, record.uuid),
    }
    if request.version >= microversions.DETAILS:
        wire["generation"] = record.generation
    if request.version >= microversions.PROFILE_UPDATE:
        wire["visibility"] = str(record.visibility)
        if shares is not None:
            wire["projects"] = list(shares.get(record.id, ()))
    return wire


def wrapped(request: Request, record: ProfileRecord, shares: Shares = None) -> common.Wire:
    times = {"created_at": str(record.created_at), "updated_at": str(record.updated_at)}
    return {"device_profile": one(request, record, shares) | times}
