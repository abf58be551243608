# SPDX-License-Identifier: Apache-2.0
"""Rules of hosts, the compute nodes on which agents run."""

from cyborg.policies import base

GET_ALL = "cyborg:host:get_all"
GET_ONE = "cyborg:host:get_one"
GET_DRIFT = "cyborg:host:get_drift"
DISABLE = "cyborg:host:disable"
ENABLE = "cyborg:host:enable"


def list_rules() -> list[base.Rule]:
    one = "/v2/hosts/{uuid or name}"
    drift = "See in what a host differs from Placement; others see in how much. Names servers and requests."
    return [
        base.operation(GET_DRIFT, base.ADMIN, drift, (f"GET {one}",)),
        base.operation(GET_ALL, base.ADMIN, "List hosts.", ("GET /v2/hosts",)),
        base.operation(GET_ONE, base.ADMIN, "Show a host.", (f"GET {one}",)),
        base.operation(DISABLE, base.ADMIN, "Take a host out of scheduling.", (f"POST {one}/disable",)),
        base.operation(ENABLE, base.ADMIN, "Offer a host again.", (f"POST {one}/enable",)),
    ]
