# SPDX-License-Identifier: Apache-2.0
"""Rows to `arq.Arq` and back: which column means which member, and nothing else."""

import datetime
from typing import Any

from sqlalchemy import Row

from cyborg.domain import arq, errors, profile, wire
from cyborg.store import columns
from cyborg.store.models import Arq

AnyRow = Row[*tuple[Any, ...]]
#: Where it is noted when a request last came to a state. Initial is its creation, and Deleting its end.
STATE_TIMES = {
    arq.State.BIND_STARTED: Arq.bind_started_at,
    arq.State.BOUND: Arq.bound_at,
    arq.State.BIND_FAILED: Arq.bind_failed_at,
    arq.State.UNBOUND: Arq.unbound_at,
    arq.State.UNBIND_FAILED: Arq.unbind_failed_at,
}
#: Of a request whose copy of its group cannot be read: it can be listed, and nothing is what it asks for.
UNREADABLE = profile.Group(resources={"CUSTOM_UNREADABLE": 1})


def row_of(request: arq.Arq) -> dict[str, Any]:
    """To be inserted; the times are the store's to set."""
    return {
        "uuid": request.uuid,
        "project_id": request.project_id,
        "state": request.state,
        "profile_name": request.profile_name,
        "group_id": request.group_id,
        "request_group": wire.to_wire(request.group),
        "hostname": request.hostname,
        "device_rp_uuid": request.device_rp_uuid,
        "instance_uuid": request.instance_uuid,
        "fault": request.fault,
    }


def arq_of(row: AnyRow) -> arq.Arq:
    """``row`` has beside the request's columns ``handle_*``: those of the accelerator that it holds, or nulls."""
    return arq.Arq(
        uuid=row.uuid,
        project_id=row.project_id,
        state=row.state,
        profile_name=row.profile_name,
        group_id=row.group_id,
        group=_group(row.request_group),
        hostname=row.hostname,
        device_rp_uuid=row.device_rp_uuid,
        instance_uuid=row.instance_uuid,
        fault=row.fault,
        attach_handle=_handle(row),
        entered={
            state: found.isoformat()
            for state, column in STATE_TIMES.items()
            if (found := getattr(row, column.key)) is not None
        },
        created_at=_text(row.created_at),
        updated_at=_text(row.updated_at),
    )


def _group(value: Any) -> profile.Group:
    try:
        return wire.from_wire(profile.Group, value)
    except errors.InvalidRequest:
        return UNREADABLE


def _handle(row: AnyRow) -> arq.AttachHandle | None:
    """Only a bound request has one: what is still being prepared may become something else."""
    if row.handle_uuid is None or row.state is not arq.State.BOUND:
        return None
    info = columns.as_object(row.handle_attached or row.handle_info)
    return arq.AttachHandle(uuid=row.handle_uuid, type=row.handle_type, info=info)


def _text(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
