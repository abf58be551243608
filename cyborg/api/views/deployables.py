# SPDX-License-Identifier: Apache-2.0
"""Deployables on the wire."""

import json

from cyborg.api import microversions
from cyborg.api.request import Request
from cyborg.api.views import common
from cyborg.store.records import DeployableRecord

COLLECTION = "deployables"


def one(request: Request, record: DeployableRecord) -> common.Wire:
    bookmark = {"href": request.link(COLLECTION, record.uuid), "rel": "bookmark"}
    wire: common.Wire = {
        "uuid": record.uuid,
        "parent_id": record.parent_id,
        "root_id": record.root_id,
        "name": record.name,
        "num_accelerators": record.num_accelerators,
        "device_id": record.device_id,
        "attributes_list": json.dumps([{key: value} for key, value in record.attributes]),
        "rp_uuid": record.rp_uuid,
        "driver_name": record.driver,
        "bitstream_id": None,
        "links": [*common.links(request, COLLECTION, record.uuid), bookmark],
        "created_at": common.time(record.created_at),
        "updated_at": common.time(record.updated_at),
    }
    if request.version >= microversions.DETAILS:
        wire |= {
            "device_uuid": record.device_uuid,
            "hostname": record.hostname,
            "health": str(record.health),
            "health_reasons": list(record.health_reasons),
        }
    return wire
