# SPDX-License-Identifier: Apache-2.0
"""Attributes on the wire."""

from cyborg.api.request import Request
from cyborg.api.views import common
from cyborg.store.records import AttributeRecord

COLLECTION = "attributes"


def one(request: Request, record: AttributeRecord) -> common.Wire:
    return {
        "uuid": record.uuid,
        "deployable_id": record.deployable_id,
        "key": record.key,
        "value": record.value,
        "created_at": common.time(record.created_at),
        "updated_at": common.time(record.updated_at),
        "links": common.links(request, COLLECTION, record.uuid),
    }
