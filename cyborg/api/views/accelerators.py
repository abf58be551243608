# SPDX-License-Identifier: Apache-2.0
"""Accelerators on the wire."""

from cyborg.api import microversions
from cyborg.api.request import Request
from cyborg.api.views import common
from cyborg.store.records import AcceleratorRecord

COLLECTION = "accelerators"


def one(request: Request, record: AcceleratorRecord, *, with_holder: bool) -> common.Wire:
    wire: common.Wire = {
        "uuid": record.uuid,
        "key": record.key,
        "state": common.state(request, str(record.state)),
        "attach_handle_type": str(record.type),
        "attach_handle_info": dict(record.info),
        "deployable_uuid": record.deployable_uuid,
        "device_uuid": record.device_uuid,
        "hostname": record.hostname,
        "created_at": common.time(record.created_at),
        "updated_at": common.time(record.updated_at),
        "links": common.links(request, COLLECTION, record.uuid),
    }
    if request.version >= microversions.OPERATIONS:
        wire["fault"] = record.fault
    if with_holder:
        wire["holder"] = record.arq_uuid and {
            "arq_uuid": record.arq_uuid,
            "instance_uuid": record.instance_uuid,
            "project_id": record.project_id,
        }
    return wire
