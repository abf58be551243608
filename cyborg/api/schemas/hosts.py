# SPDX-License-Identifier: Apache-2.0
"""What may be asked of hosts, and what they look like."""

from cyborg.api.schemas import common
from cyborg.domain import inventory
from cyborg.domain.shape import Layout, Naming

STATUS: common.Schema = {"enum": [str(one) for one in inventory.HostStatus]}

QUERY: common.Schema = common.query(
    filters={"name": common.TEXT, "status": STATUS}, sorts=("created_at", "uuid", "name")
)

ONE: common.Schema = common.answer(
    "Host",
    {
        "uuid": common.UUID,
        "name": common.STRING,
        "status": STATUS,
        "agent_state": {"enum": ["up", "down"]},
        "seen_at": common.NULLABLE_TIME,
        "rp_uuid": common.NULLABLE_UUID,
        "provider_layout": {"enum": [str(one) for one in Layout]},
        "resource_class_naming": {"enum": [str(one) for one in Naming]},
        "drivers": {
            "type": "array",
            "items": common.answer("DriverReport", {"name": common.STRING, "reported_at": common.TIME}),
        },
        "accelerators": common.COUNTS,
        "created_at": common.TIME,
        "updated_at": common.NULLABLE_TIME,
        "links": common.LINKS,
    },
)
LIST: common.Schema = common.listing("Hosts", "hosts", ONE)
