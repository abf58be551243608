# SPDX-License-Identifier: Apache-2.0
"""Rules of deployables, the parts of devices that are scheduled."""

from cyborg.policies import base

GET_ALL = "cyborg:deployable:get_all"
GET_ONE = "cyborg:deployable:get_one"
PROGRAM = "cyborg:deployable:program"


def list_rules() -> list[base.Rule]:
    manager, one = base.PROJECT_MANAGER_OR_ADMIN, "/v2/deployables/{uuid}"
    return [
        base.operation(GET_ALL, manager, "List deployables.", ("GET /v2/deployables",), base.ADMIN),
        base.operation(GET_ONE, manager, "Show a deployable.", (f"GET {one}",), base.ADMIN),
        base.operation(PROGRAM, base.ADMIN, "Program a deployable with an image.", (f"PATCH {one}/program",)),
    ]
