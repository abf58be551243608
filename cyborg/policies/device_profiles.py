# SPDX-License-Identifier: Apache-2.0
"""Rules of device profiles; they belong to no project, though private ones are seen only by chosen projects."""

from cyborg.policies import base

GET_ALL = "cyborg:device_profile:get_all"
GET_ONE = "cyborg:device_profile:get_one"
CREATE = "cyborg:device_profile:create"
UPDATE = "cyborg:device_profile:update"
DELETE = "cyborg:device_profile:delete"

_COLLECTION = "/v2/device_profiles"
_ONE = "/v2/device_profiles/{uuid or name}"


def list_rules() -> list[base.Rule]:
    reader, owner, admin = base.PROJECT_READER_OR_ADMIN, base.LEGACY_ADMIN_OR_OWNER, "rule:is_admin"
    deletes = (f"DELETE {_ONE}", f"DELETE {_COLLECTION}")
    update = "Change a device profile, and see with which projects it is shared."
    return [
        base.operation(GET_ALL, reader, "List device profiles.", (f"GET {_COLLECTION}",), owner),
        base.operation(GET_ONE, reader, "Show a device profile.", (f"GET {_ONE}",), owner),
        base.operation(CREATE, base.ADMIN, "Create a device profile.", (f"POST {_COLLECTION}",), admin),
        base.operation(UPDATE, base.ADMIN, update, (f"PATCH {_ONE}",)),
        base.operation(DELETE, base.ADMIN, "Delete device profiles.", deletes, admin),
    ]
