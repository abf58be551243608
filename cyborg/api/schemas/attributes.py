# SPDX-License-Identifier: Apache-2.0
"""What attributes may look like; clients send them flat or wrapped in ``attribute``."""

from cyborg.api.schemas import common

QUERY: common.Schema = common.query(
    always={"deployable_id": common.INTEGER_TEXT, "key": common.TEXT}, sorts=("created_at", "uuid", "key")
)

_FLAT: common.Schema = {
    "type": "object",
    "required": ["deployable_id", "key", "value"],
    "properties": {
        "deployable_id": {
            "anyOf": [{"type": "integer", "minimum": 0, "maximum": 999_999_999}, common.INTEGER_TEXT],
        },
        "key": {"type": "string", "minLength": 1, "maxLength": 255},
        "value": {"type": "string", "maxLength": 4000},
    },
}

CREATE: common.Schema = {
    "type": "object",
    "if": {"required": ["attribute"]},
    "then": {"properties": {"attribute": _FLAT}},
    "else": _FLAT,
}

ONE: common.Schema = common.answer(
    "Attribute",
    {
        "uuid": common.UUID,
        "deployable_id": {"type": "integer"},
        "key": common.STRING,
        "value": common.STRING,
        "created_at": common.TIME,
        "updated_at": common.NULLABLE_TIME,
        "links": common.LINKS,
    },
)
LIST: common.Schema = common.listing("Attributes", "attributes", ONE)
