# SPDX-License-Identifier: Apache-2.0
"""What may be asked of operations, and what they look like."""

from cyborg.api.schemas import common
from cyborg.store.operation_list import State

STATE: common.Schema = {"enum": [str(one) for one in State]}

QUERY: common.Schema = common.query(
    filters={"kind": common.TEXT, "hostname": common.TEXT, "subject": common.UUID, "state": STATE},
    sorts=("created_at", "uuid"),
)

ONE: common.Schema = common.answer(
    "Operation",
    {
        "uuid": common.UUID,
        "kind": common.STRING,
        "state": STATE,
        "hostname": common.NULLABLE_STRING,
        "subject": {**common.NULLABLE_UUID, "description": "The server, request or accelerator that it is about"},
        "attempts": {"type": "integer", "minimum": 0, "description": "Those that failed"},
        "last_error": common.NULLABLE_STRING,
        "next_at": common.TIME,
        "deadline": common.NULLABLE_TIME,
        "ended_at": {**common.NULLABLE_TIME, "description": "When it was given up"},
        "created_at": common.TIME,
        "updated_at": common.NULLABLE_TIME,
        "links": common.LINKS,
    },
)
LIST: common.Schema = common.listing("Operations", "operations", ONE)
