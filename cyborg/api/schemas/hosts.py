# SPDX-License-Identifier: Apache-2.0
"""What may be asked of hosts, and what they look like."""

from cyborg.api import microversions
from cyborg.api.schemas import common
from cyborg.domain import audit, inventory
from cyborg.domain.shape import Layout, Naming
from cyborg.store import host_list

STATUS: common.Schema = {"enum": [str(one) for one in inventory.HostStatus]}

QUERY: common.Schema = common.query(
    filters={"name": common.TEXT, "status": STATUS}, sorts=("created_at", "uuid", "name")
)

DIFFERENCE: common.Schema = common.answer(
    "Difference",
    {
        "kind": {"enum": [str(one) for one in audit.Kind]},
        "subject": {"type": "string", "description": "What it is about, a uuid or a name"},
        "text": {"type": "string", "description": "What differs, and why"},
    },
)
DRIFT: common.Schema = common.answer(
    "Drift",
    {
        "number": {"type": "integer", "minimum": 0},
        "looked_at": common.TIME,
        "differences": {
            "type": "array",
            "maxItems": host_list.KEPT,
            "items": DIFFERENCE,
            "description": "The first of them; only where one host is shown, and absent for who may not see them",
        },
    },
    optional=("differences",),
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
        "drift": common.since(
            microversions.OPERATIONS,
            {
                **DRIFT,
                "type": ["object", "null"],
                "description": "What the last audit found; null before there was one",
            },
        ),
        "created_at": common.TIME,
        "updated_at": common.NULLABLE_TIME,
        "links": common.LINKS,
    },
)
LIST: common.Schema = common.listing("Hosts", "hosts", ONE)
