# SPDX-License-Identifier: Apache-2.0
"""Rules of accelerator requests; the target is the project that owns the request.

Binding, unbinding and deleting what is bound also needs a service token, whatever these rules say.
"""

from cyborg.policies import base

GET_ALL = "cyborg:arq:get_all"
GET_ONE = "cyborg:arq:get_one"
CREATE = "cyborg:arq:create"
DELETE = "cyborg:arq:delete"
UPDATE = "cyborg:arq:update"

_COLLECTION = "/v2/accelerator_requests"
_ONE = "/v2/accelerator_requests/{uuid}"


def list_rules() -> list[base.Rule]:
    reader, writer = base.PROJECT_READER_OR_ADMIN_OR_SERVICE, base.PROJECT_MEMBER_OR_ADMIN_OR_SERVICE
    owner, creator = base.LEGACY_ADMIN_OR_OWNER, base.PROJECT_MEMBER_OR_SERVICE
    deletes = (f"DELETE {_COLLECTION}", f"DELETE {_ONE}")
    patches = (f"PATCH {_COLLECTION}", f"PATCH {_ONE}")
    create = "Create the accelerator requests of a device profile."
    return [
        base.operation(GET_ALL, reader, "List accelerator requests.", (f"GET {_COLLECTION}",), owner),
        base.operation(GET_ONE, reader, "Show an accelerator request.", (f"GET {_ONE}",), owner),
        base.operation(CREATE, creator, create, (f"POST {_COLLECTION}",), "rule:project_member_or_admin"),
        base.operation(DELETE, writer, "Delete accelerator requests.", deletes, owner),
        base.operation(UPDATE, writer, "Bind and unbind accelerator requests.", patches, owner),
    ]
