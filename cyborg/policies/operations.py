# SPDX-License-Identifier: Apache-2.0
"""Rules of operations: work that is still to do, for all projects."""

from cyborg.policies import base

GET_ALL = "cyborg:operation:get_all"
GET_ONE = "cyborg:operation:get_one"


def list_rules() -> list[base.Rule]:
    return [
        base.operation(GET_ALL, base.ADMIN, "List operations.", ("GET /v2/operations",)),
        base.operation(GET_ONE, base.ADMIN, "Show an operation.", ("GET /v2/operations/{uuid}",)),
    ]
