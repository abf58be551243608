# SPDX-License-Identifier: Apache-2.0
"""Rules of devices: the cloud's hardware is for its managers and administrators to see."""

from cyborg.policies import base

GET_ALL = "cyborg:device:get_all"
GET_ONE = "cyborg:device:get_one"
DISABLE = "cyborg:device:disable"
ENABLE = "cyborg:device:enable"


def list_rules() -> list[base.Rule]:
    manager, one = base.PROJECT_MANAGER_OR_ADMIN, "/v2/devices/{uuid}"
    disable = "Take a device out of scheduling."
    return [
        base.operation(GET_ALL, manager, "List devices.", ("GET /v2/devices",), base.ADMIN),
        base.operation(GET_ONE, manager, "Show a device.", (f"GET {one}",), base.ADMIN),
        base.operation(DISABLE, base.ADMIN, disable, (f"POST {one}/disable",)),
        base.operation(ENABLE, base.ADMIN, "Offer a device again.", (f"POST {one}/enable",)),
    ]
