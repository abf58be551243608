# SPDX-License-Identifier: Apache-2.0
"""Rules of attributes, the notes on deployables."""

from cyborg.policies import base

GET_ALL = "cyborg:attribute:get_all"
GET_ONE = "cyborg:attribute:get_one"
CREATE = "cyborg:attribute:create"
DELETE = "cyborg:attribute:delete"


def list_rules() -> list[base.Rule]:
    manager, collection, one = base.PROJECT_MANAGER_OR_ADMIN, "/v2/attributes", "/v2/attributes/{uuid}"
    return [
        base.operation(GET_ALL, manager, "List attributes.", (f"GET {collection}",), base.ADMIN),
        base.operation(GET_ONE, manager, "Show an attribute.", (f"GET {one}",), base.ADMIN),
        base.operation(CREATE, base.ADMIN, "Add an attribute to a deployable.", (f"POST {collection}",)),
        base.operation(DELETE, base.ADMIN, "Delete an attribute.", (f"DELETE {one}",)),
    ]
