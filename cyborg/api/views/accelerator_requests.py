# SPDX-License-Identifier: Apache-2.0
"""Accelerator requests on the wire."""

from cyborg.api import microversions
from cyborg.api.request import Request
from cyborg.api.schemas.accelerator_requests import STATE_TIMES
from cyborg.api.views import common
from cyborg.domain import arq

COLLECTION = "accelerator_requests"
LISTED = "arqs"


def one(request: Request, found: arq.Arq) -> common.Wire:
    wire: common.Wire = {
        "uuid": found.uuid,
        "state": str(found.state),
        "device_profile_name": found.profile_name,
        "device_profile_group_id": found.group_id,
        "hostname": found.hostname,
        "device_rp_uuid": found.device_rp_uuid,
        "instance_uuid": found.instance_uuid,
        "project_id": found.project_id,
        **_attachment(found),
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "links": common.links(request, COLLECTION, found.uuid),
    }
    if request.version >= microversions.DETAILS:
        wire |= {"fault": found.fault, **{name: found.entered.get(state) for state, name in STATE_TIMES.items()}}
    return wire


def _attachment(found: arq.Arq) -> common.Wire:
    """Only a bound request says how to attach; the type is never null."""
    handle = found.attach_handle if found.state is arq.State.BOUND else None
    return {
        "attach_handle_type": str(handle.type) if handle else "",
        "attach_handle_uuid": handle.uuid if handle else None,
        "attach_handle_info": dict(handle.info) if handle else {},
    }
