# SPDX-License-Identifier: Apache-2.0
"""Hosts on the wire; an agent that was not heard of for ``[api] host_down_after`` seconds is down."""

import datetime

from cyborg.api.request import Request
from cyborg.api.views import common
from cyborg.domain import inventory
from cyborg.store.records import HostRecord

COLLECTION = "hosts"


def one(request: Request, record: HostRecord) -> common.Wire:
    return {
        "uuid": record.uuid,
        "name": record.name,
        "status": str(record.status),
        "agent_state": "up" if _is_up(request, record) else "down",
        "seen_at": common.time(record.seen_at),
        "rp_uuid": record.provider_uuid,
        "provider_layout": str(record.layout),
        "resource_class_naming": str(record.naming),
        "drivers": [{"name": one.driver, "reported_at": common.time(one.reported_at)} for one in record.reports],
        "accelerators": {str(state): record.accelerators.get(state, 0) for state in inventory.AcceleratorState},
        "created_at": common.time(record.created_at),
        "updated_at": common.time(record.updated_at),
        "links": common.links(request, COLLECTION, record.uuid),
    }


def _is_up(request: Request, record: HostRecord) -> bool:
    patience = datetime.timedelta(seconds=request.services.conf.api.host_down_after)
    return record.seen_at is not None and datetime.datetime.now(datetime.UTC) - record.seen_at < patience
