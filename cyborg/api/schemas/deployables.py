# SPDX-License-Identifier: Apache-2.0
"""What may be asked of deployables."""

from cyborg.api.schemas import common

QUERY: common.Schema = {"type": "object", "properties": {**common.FILTERS}}

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
