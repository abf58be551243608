# SPDX-License-Identifier: Apache-2.0
"""Rules of accelerators, the units that requests hold; who holds one is for administrators to see."""

from cyborg.policies import base

GET_ALL = "cyborg:accelerator:get_all"
GET_ONE = "cyborg:accelerator:get_one"
GET_HOLDER = "cyborg:accelerator:get_holder"


def list_rules() -> list[base.Rule]:
    manager, collection, one = base.PROJECT_MANAGER_OR_ADMIN, "/v2/accelerators", "/v2/accelerators/{uuid}"
    both = (f"GET {collection}", f"GET {one}")
    return [
        base.operation(GET_HOLDER, base.ADMIN, "See who holds an accelerator; others see its state only.", both),
        base.operation(GET_ALL, manager, "List accelerators.", (f"GET {collection}",)),
        base.operation(GET_ONE, manager, "Show an accelerator.", (f"GET {one}",)),
    ]
