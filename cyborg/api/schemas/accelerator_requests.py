# SPDX-License-Identifier: Apache-2.0
"""What accelerator requests may look like, and the bodies that bind and unbind them.

{"<request>": [{"op": "add", "path": "/hostname", "value": "compute-1"},
               {"op": "add", "path": "/device_rp_uuid", "value": "<provider>"},
               {"op": "add", "path": "/instance_uuid", "value": "<instance>"}], ...}
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypedDict

from cyborg.api.schemas import common
from cyborg.domain import arq, errors

#: ``device_profile_group_id`` and ``image_uuid`` are sent by the command line and mean nothing.
CREATE: common.Schema = {
    "type": "object",
    "required": ["device_profile_name"],
    "properties": {"device_profile_name": {"type": "string"}},
}

LIST_QUERY: common.Schema = common.query(
    always={"instance": common.UUID, "bind_state": {"enum": ["resolved"]}},
    filters={
        "state": {"enum": [str(state) for state in arq.State]},
        "hostname": common.TEXT,
        "device_profile_name": common.TEXT,
        "project_id": common.TEXT,
    },
    sorts=("created_at", "uuid", "state"),
)

DELETE_QUERY: common.Schema = {
    "type": "object",
    "properties": {"arqs": common.SEVERAL, "instance": common.UUID},
}

REQUIRED = ("hostname", "device_rp_uuid", "instance_uuid")
PROJECT = "project_id"

UPDATE: common.Schema = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 256,
    "propertyNames": {"format": "uuid"},
    "additionalProperties": {
        "type": "array",
        "minItems": 1,
        "maxItems": 8,
        "items": {
            "type": "object",
            "required": ["op", "path"],
            "properties": {
                "op": {"enum": ["add", "remove"]},
                "path": {"enum": [f"{slash}{name}" for name in (*REQUIRED, PROJECT) for slash in ("/", "")]},
            },
            "if": {"properties": {"op": {"const": "add"}}},
            "then": {
                "required": ["value"],
                "properties": {"value": {"type": "string", "minLength": 1, "maxLength": 255}},
            },
        },
    },
}

#: When a request last came to each state; Initial is ``created_at``, and a request that is Deleting soon is gone.
STATE_TIMES = {
    arq.State.BIND_STARTED: "bind_started_at",
    arq.State.BOUND: "bound_at",
    arq.State.BIND_FAILED: "bind_failed_at",
    arq.State.UNBOUND: "unbound_at",
    arq.State.UNBIND_FAILED: "unbind_failed_at",
}

ONE: common.Schema = common.answer(
    "AcceleratorRequest",
    {
        "uuid": common.UUID,
        "state": {"enum": [str(one) for one in arq.State]},
        "device_profile_name": common.STRING,
        "device_profile_group_id": {"type": "integer", "minimum": 0},
        "hostname": common.NULLABLE_STRING,
        "device_rp_uuid": common.NULLABLE_UUID,
        "instance_uuid": common.NULLABLE_UUID,
        "project_id": common.NULLABLE_STRING,
        "attach_handle_type": {"type": "string", "description": "Empty unless the request is bound"},
        "attach_handle_uuid": common.NULLABLE_UUID,
        "attach_handle_info": {"type": "object", "additionalProperties": {"type": "string"}},
        "created_at": common.TIME,
        "updated_at": common.NULLABLE_TIME,
        "links": common.LINKS,
        **common.details({"fault": common.NULLABLE_STRING}),
        **common.details(dict.fromkeys(STATE_TIMES.values(), common.NULLABLE_TIME)),
    },
)
LIST: common.Schema = common.listing("AcceleratorRequests", "arqs", ONE)


class Change(TypedDict, total=False):
    op: Literal["add", "remove"]
    path: str
    value: str


class Update(NamedTuple):
    """A checked body: bindings to make, or, where there are none, requests to unbind."""

    uuids: tuple[str, ...]
    bindings: tuple[arq.Binding, ...]


def read_update(body: Mapping[str, list[Change]]) -> Update:
    """The meaning of a body that fits `UPDATE`; raises InvalidRequest."""
    changes: dict[str, dict[str, str]] = {}
    operations = set()
    for text, patch in body.items():
        uuid = common.uuid_of(text, "An accelerator request")
        if uuid in changes:
            raise errors.InvalidRequest(f"Accelerator request {uuid} is given twice.")
        operation, changes[uuid] = _read_patch(uuid, patch)
        operations.add(operation)
    if len(operations) > 1:
        raise errors.InvalidRequest("One body either binds ('add') or unbinds ('remove'); send two.")
    uuids = tuple(changes)
    if operations == {"remove"}:
        return Update(uuids, ())
    return Update(uuids, tuple(_binding(uuid, values) for uuid, values in changes.items()))


def names_project(body: Mapping[str, list[Change]]) -> bool:
    return any(change["path"].lstrip("/") == PROJECT for patch in body.values() for change in patch)


def _read_patch(uuid: str, patch: list[Change]) -> tuple[str, dict[str, str]]:
    operations = {change["op"] for change in patch}
    if len(operations) > 1:
        raise errors.InvalidRequest(f"{uuid}: all operations of a request must be 'add', or all 'remove'.")
    values: dict[str, str] = {}
    for change in patch:
        name = change["path"].lstrip("/")
        if name in values:
            raise errors.InvalidRequest(f"{uuid}: /{name} is given twice.")
        values[name] = change.get("value", "")
    absent = [f"/{name}" for name in REQUIRED if name not in values]
    if absent:
        raise errors.InvalidRequest(f"{uuid}: {', '.join(absent)} must be given too.")
    return operations.pop(), values


def _binding(uuid: str, values: Mapping[str, str]) -> arq.Binding:
    return arq.Binding(
        arq_uuid=uuid,
        hostname=values["hostname"],
        device_rp_uuid=common.uuid_of(values["device_rp_uuid"], f"{uuid}: /device_rp_uuid"),
        instance_uuid=common.uuid_of(values["instance_uuid"], f"{uuid}: /instance_uuid"),
        project_id=values.get(PROJECT),
    )
