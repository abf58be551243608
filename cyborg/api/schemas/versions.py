# SPDX-License-Identifier: Apache-2.0
"""What the documents about the API look like."""

from cyborg.api.schemas import common

VERSION: common.Schema = common.answer(
    "Version",
    {
        "id": common.STRING,
        "links": common.LINKS,
        "max_version": common.STRING,
        "min_version": common.STRING,
        "status": {"enum": ["CURRENT"]},
    },
)
ROOT: common.Schema = common.answer(
    "Versions",
    {
        "name": common.STRING,
        "description": common.STRING,
        "versions": {"type": "array", "minItems": 1, "items": VERSION},
        "default_version": VERSION,
    },
)
DOCUMENT: common.Schema = {
    "type": "object",
    "required": ["openapi", "info", "paths", "components", "servers"],
    "properties": {"openapi": {"type": "string", "pattern": "^3[.]1[.]"}},
}
