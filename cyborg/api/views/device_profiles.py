# SPDX-License-Identifier: Apache-2.0
"""Device profiles on the wire; one that is shown alone has times in another form, on which clients rely."""

from cyborg.api.request import Request
from cyborg.api.views import common
from cyborg.store.records import ProfileRecord

COLLECTION = "device_profiles"


def one(request: Request, record: ProfileRecord) -> common.Wire:
    return {
        "uuid": record.uuid,
        "name": record.name,
        "description": record.description,
        "groups": [dict(group) for group in record.groups],
        "created_at": common.time(record.created_at),
        "updated_at": common.time(record.updated_at),
        "links": common.links(request, COLLECTION, record.uuid),
    }


def wrapped(request: Request, record: ProfileRecord) -> common.Wire:
    times = {"created_at": str(record.created_at), "updated_at": str(record.updated_at)}
    return {"device_profile": one(request, record) | times}
