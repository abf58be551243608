# SPDX-License-Identifier: Apache-2.0
"""What device profiles may look like; what a group may say is the domain's to know."""

from cyborg.api import microversions
from cyborg.api.schemas import common
from cyborg.domain import profile

QUERY: common.Schema = common.query(always={"name": common.SEVERAL}, sorts=("created_at", "uuid", "name"))

DELETE_QUERY: common.Schema = {"type": "object", "properties": {"value": common.SEVERAL}}

NAME: common.Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9_-]+$"}

DESCRIPTION: common.Schema = {"type": ["string", "null"], "maxLength": 4000}
GROUPS: common.Schema = {
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
}
VISIBILITY: common.Schema = {"enum": [str(one) for one in profile.Visibility]}
PROJECTS: common.Schema = {
    "type": "array",
    "maxItems": 256,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1, "maxLength": 255},
}

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
            "description": DESCRIPTION,
            "groups": GROUPS,
            "visibility": common.since(microversions.PROFILE_UPDATE, VISIBILITY),
            "projects": common.since(microversions.PROFILE_UPDATE, PROJECTS),
        },
    },
}

#: What may change; members that are not given stay as they are.
UPDATE: common.Schema = {
    "title": "UpdateDeviceProfile",
    "type": "object",
    "minProperties": 1,
    "properties": {
        "description": DESCRIPTION,
        "groups": GROUPS,
        "visibility": VISIBILITY,
        "projects": PROJECTS,
        "generation": common.GENERATION,
    },
    "additionalProperties": False,
}

_MEMBERS: dict[str, common.Schema] = {
    "uuid": common.UUID,
    "name": common.STRING,
    "description": common.NULLABLE_STRING,
    "groups": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}},
    "created_at": common.TIME,
    "updated_at": common.NULLABLE_TIME,
    "links": common.LINKS,
    **common.details({"generation": common.GENERATION}),
    "visibility": common.since(microversions.PROFILE_UPDATE, VISIBILITY),
    "projects": common.since(
        microversions.PROFILE_UPDATE,
        {**PROJECTS, "description": "The projects a private profile is shared with; absent for who may not change it"},
    ),
}
#: Shown to some only.
_OPTIONAL = ("projects",)
#: Times of a profile that is shown alone, as plain text; clients rely on it.
_PLAIN_TIMES: dict[str, common.Schema] = {
    "created_at": common.STRING,
    "updated_at": {"type": "string", "description": "The text 'None' where the profile was never changed"},
}
ONE: common.Schema = common.answer("DeviceProfile", _MEMBERS, optional=_OPTIONAL)
LIST: common.Schema = common.listing("DeviceProfiles", "device_profiles", ONE)
WRAPPED: common.Schema = common.answer(
    "WrappedDeviceProfile",
    {"device_profile": common.answer("DeviceProfileAlone", _MEMBERS | _PLAIN_TIMES, optional=_OPTIONAL)},
)
