# SPDX-License-Identifier: Apache-2.0
"""Hosts on the wire; whether one is down is what the conductors found, for they act on it."""

from cyborg.api import microversions
from cyborg.api.request import Request
from cyborg.api.views import common
from cyborg.store.records import Drift, HostRecord

COLLECTION = "hosts"


def one(request: Request, record: HostRecord, *, with_differences: bool = False) -> common.Wire:
    up = record.down_since is None and record.seen_at is not None
    wire: common.Wire = {
        "uuid": record.uuid,
        "name": record.name,
        "status": str(record.status),
        "agent_state": "up" if up else "down",
        "seen_at": common.time(record.seen_at),
        "rp_uuid": record.provider_uuid,
        "provider_layout": str(record.layout),
        "resource_class_naming": str(record.naming),
        "drivers": [{"name": one.driver, "reported_at": common.time(one.reported_at)} for one in record.reports],
        "accelerators": common.counts(request, record.accelerators),
        "created_at": common.time(record.created_at),
        "updated_at": common.time(record.updated_at),
        "links": common.links(request, COLLECTION, record.uuid),
    }
    if request.version >= microversions.OPERATIONS:
        wire["drift"] = record.drift and _drift(record.drift, with_differences=with_differences)
    return wire


def _drift(found: Drift, *, with_differences: bool) -> common.Wire:
    wire: common.Wire = {"number": found.number, "looked_at": found.looked_at}
    if with_differences:
        wire["differences"] = [dict(difference) for difference in found.differences]
    return wire
