# SPDX-License-Identifier: Apache-2.0
"""What may be asked of deployables."""

from cyborg.api.schemas import common, devices

QUERY: common.Schema = common.query(
    before=common.FILTERS,
    filters={"name": {"type": "string", "maxLength": 767}, "device_uuid": common.UUID, "hostname": common.TEXT},
    sorts=("created_at", "uuid"),
)

#: Members that programming does not change; a body that names one asks for something else.
FIXED = ("created_at", "id", "links", "updated_at", "uuid", "name", "num_accelerators")

PROGRAM: common.Schema = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1,
    "items": {
        "type": "object",
        "required": ["op", "path", "value"],
        "properties": {
            "op": {"enum": ["add", "replace"]},
            "path": {
                "type": "string",
                "maxLength": 255,
                "pattern": "^/?[A-Za-z0-9_]+$",
                "not": {"enum": [f"/{name}" for name in FIXED] + list(FIXED)},
            },
            "value": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": {"type": "object", "required": ["image_uuid"], "properties": {"image_uuid": common.UUID}},
            },
        },
    },
}

ONE: common.Schema = common.answer(
    "Deployable",
    {
        "uuid": common.UUID,
        "parent_id": {"type": ["integer", "null"]},
        "root_id": {"type": ["integer", "null"]},
        "name": common.STRING,
        "num_accelerators": {"type": "integer", "minimum": 0},
        "device_id": {"type": "integer"},
        "attributes_list": {"type": "string", "description": "JSON text: a list of objects with one member each"},
        "rp_uuid": common.NULLABLE_UUID,
        "driver_name": common.NULLABLE_STRING,
        "bitstream_id": common.NULLABLE_UUID,
        "links": common.LINKS,
        "created_at": common.TIME,
        "updated_at": common.NULLABLE_TIME,
        **common.details({"device_uuid": common.UUID, "hostname": common.STRING, **devices.HEALTH}),
    },
)
LIST: common.Schema = common.listing("Deployables", "deployables", ONE)
