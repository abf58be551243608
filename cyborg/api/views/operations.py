# SPDX-License-Identifier: Apache-2.0
"""Operations on the wire."""

from cyborg.api.request import Request
from cyborg.api.views import common
from cyborg.store.records import OperationRecord

COLLECTION = "operations"


def one(request: Request, record: OperationRecord) -> common.Wire:
    return {
        "uuid": record.uuid,
        "kind": record.kind,
        "state": record.state,
        "hostname": record.hostname,
        "subject": record.subject,
        "attempts": record.attempts,
        "last_error": record.last_error,
        "next_at": common.time(record.next_at),
        "deadline": common.time(record.deadline),
        "ended_at": common.time(record.ended_at),
        "created_at": common.time(record.created_at),
        "updated_at": common.time(record.updated_at),
        "links": common.links(request, COLLECTION, record.uuid),
    }
