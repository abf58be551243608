# SPDX-License-Identifier: Apache-2.0
"""What may be asked of devices."""

from cyborg.api import microversions
from cyborg.api.schemas import common
from cyborg.domain import inventory, report

QUERY: common.Schema = common.query(
    always=dict.fromkeys(("type", "vendor", "hostname"), common.TEXT),
    before=common.FILTERS,
    filters=dict.fromkeys(("model", "status"), common.TEXT),
    sorts=("created_at", "uuid", "type", "vendor", "model", "status"),
)

HEALTH: dict[str, common.Schema] = {
    "health": {"enum": [str(one) for one in report.Health]},
    "health_reasons": {"type": "array", "items": common.STRING},
}

ONE: common.Schema = common.answer(
    "Device",
    {
        "uuid": common.UUID,
        "type": {"enum": [str(one) for one in report.DeviceType]},
        "vendor": common.STRING,
        "model": common.STRING,
        "std_board_info": {"type": "string", "description": "JSON text"},
        "vendor_board_info": {"type": ["string", "null"], "description": "JSON text"},
        "hostname": common.STRING,
        "status": common.since(microversions.DEVICE_STATUS, {"enum": [str(one) for one in inventory.DeviceStatus]}),
        "links": common.LINKS,
        "created_at": common.TIME,
        "updated_at": common.NULLABLE_TIME,
        **common.details({**HEALTH, "generation": common.GENERATION}),
    },
)
#: What disabling and enabling may be told; nothing is needed.
DISABLE: common.Schema = common.since(
    microversions.DRAIN,
    {
        "title": "DisableDevice",
        "type": "object",
        "default": {},
        "properties": {
            "drain": {"type": "boolean", "description": "Also while somebody holds something of it"},
            "dry_run": {"type": "boolean", "description": "Only say what would happen"},
            "generation": common.GENERATION,
        },
        "additionalProperties": False,
    },
)
ENABLE: common.Schema = {
    **DISABLE,
    "title": "EnableDevice",
    "properties": {name: rule for name, rule in DISABLE["properties"].items() if name != "drain"},
}
EFFECT: common.Schema = common.since(
    microversions.DRAIN,
    common.answer(
        "EffectOnDevice",
        {
            "status": {"enum": [str(one) for one in inventory.DeviceStatus]},
            "before": common.COUNTS,
            "after": common.COUNTS,
            "holders": {"type": "integer", "minimum": 0},
            "refused": {"type": ["string", "null"], "description": "Why it would be refused"},
        },
    ),
)
LIST: common.Schema = common.listing("Devices", "devices", ONE)
