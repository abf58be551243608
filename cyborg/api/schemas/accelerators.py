# SPDX-License-Identifier: Apache-2.0
"""What may be asked of accelerators, and what they look like."""

from cyborg.api import microversions
from cyborg.api.schemas import common
from cyborg.domain import report

QUERY: common.Schema = common.query(
    filters={
        "deployable_uuid": common.UUID,
        "device_uuid": common.UUID,
        "hostname": common.TEXT,
        "state": common.STATE,
    },
    sorts=("created_at", "uuid"),
)

ONE: common.Schema = common.answer(
    "Accelerator",
    {
        "uuid": common.UUID,
        "key": {"type": "string", "description": "Its name within its deployable"},
        "state": common.STATE,
        "attach_handle_type": {"enum": [str(one) for one in report.HandleType]},
        "attach_handle_info": {"type": "object", "additionalProperties": common.NULLABLE_STRING},
        "deployable_uuid": common.UUID,
        "device_uuid": common.UUID,
        "hostname": common.STRING,
        "holder": {
            "title": "Holder",
            "description": "Who holds it; null when nobody does, absent for who may not see it",
            "type": ["object", "null"],
            "properties": {
                "arq_uuid": common.UUID,
                "instance_uuid": common.NULLABLE_UUID,
                "project_id": common.NULLABLE_STRING,
            },
            "required": ["arq_uuid", "instance_uuid", "project_id"],
            "additionalProperties": False,
        },
        "fault": common.since(
            microversions.OPERATIONS,
            {**common.NULLABLE_STRING, "description": "Why it is not given out until an operator has looked at it"},
        ),
        "created_at": common.TIME,
        "updated_at": common.NULLABLE_TIME,
        "links": common.LINKS,
    },
    optional=("holder",),
)
LIST: common.Schema = common.listing("Accelerators", "accelerators", ONE)
