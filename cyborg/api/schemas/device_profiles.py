# SPDX-License-Identifier: Apache-2.0
"""What device profiles may look like; what a group may say is the domain's to know."""

from cyborg.api.schemas import common

QUERY: common.Schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20_000}}}

DELETE_QUERY: common.Schema = {"type": "object", "properties": {"value": {"type": "string", "maxLength": 20_000}}}

NAME: common.Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9_-]+$"}

#: An array around one object; other members are ignored.
CREATE: common.Schema = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1,
    "items": {
        "type": "object",
        "required": ["name", "groups"],
        "properties": {
            "uuid": {"anyOf": [common.UUID, {"type": "null"}]},
            "name": NAME,
            "description": {"type": ["string", "null"], "maxLength": 4000},
            "groups": {
                "type": "array",
                "minItems": 1,
                "maxItems": 64,
                "items": {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 128,
                    "propertyNames": {"maxLength": 300},
                    "additionalProperties": {"type": ["string", "integer"], "maxLength": 1000},
                },
            },
        },
    },
}
