# SPDX-License-Identifier: Apache-2.0
"""Devices on the wire."""

import json

from cyborg.api import microversions
from cyborg.api.request import Request
from cyborg.api.views import common
from cyborg.domain import status
from cyborg.store.records import DeviceRecord

COLLECTION = "devices"


def one(request: Request, record: DeviceRecord) -> common.Wire:
    wire: common.Wire = {
        "uuid": record.uuid,
        "type": str(record.type),
        "vendor": record.vendor,
        "model": record.model,
        "std_board_info": _board(record),
        "vendor_board_info": json.dumps(dict(record.facts), sort_keys=True) if record.facts else None,
        "hostname": record.hostname,
        "links": common.links(request, COLLECTION, record.uuid),
        "created_at": common.time(record.created_at),
        "updated_at": common.time(record.updated_at),
    }
    if request.version >= microversions.DEVICE_STATUS:
        wire["status"] = str(record.status)
    if request.version >= microversions.DETAILS:
        wire |= {
            "health": str(record.health),
            "health_reasons": list(record.health_reasons),
            "generation": record.generation,
        }
    return wire


def effect(request: Request, found: status.Effect, *, drain: bool) -> common.Wire:
    return {
        "status": str(found.status),
        "before": common.counts(request, found.before),
        "after": common.counts(request, found.after),
        "holders": found.holders,
        "refused": None if drain else found.refusal,
    }


def _board(record: DeviceRecord) -> str:
    """JSON text of what every board has; members that are unknown are absent."""
    facts = {
        "address": record.address,
        "driver": record.driver,
        "health": str(record.health),
        "numa_node": record.numa_node,
        "product_id": record.model,
        "serial": record.serial,
    }
    return json.dumps({name: value for name, value in facts.items() if value is not None})
