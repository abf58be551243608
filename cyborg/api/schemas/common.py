# SPDX-License-Identifier: Apache-2.0
"""What several resources have in common: uuids, pairs of filters."""

import re
import uuid as uuid_module
from collections.abc import Iterable
from typing import Any

from cyborg.domain import errors

Schema = dict[str, Any]

_UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,18}", re.ASCII)
NOTHING: Schema = {"type": "object", "properties": {}}
UUID: Schema = {"type": "string", "format": "uuid"}
TEXT: Schema = {"type": "string", "maxLength": 255}
#: A number in a query, or in a body as clients may send it.
INTEGER_TEXT: Schema = {"type": "string", "pattern": "^[0-9]{1,9}$"}
FILTER_FIELDS = (
    "parent_uuid",
    "root_uuid",
    "board",
    "availability",
    "interface_type",
    "instance_uuid",
    "limit",
    "marker",
    "sort_key",
    "sort_dir",
    "name",
)
#: Repeated pairs, ``filters.field=limit&filters.value=10``.
FILTERS: Schema = {
    "filters.field": {"type": "array", "items": {"type": "string", "enum": list(FILTER_FIELDS)}},
    "filters.value": {"type": "array", "items": {"type": "string", "maxLength": 255}},
}


def is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def uuid_of(text: str, what: str) -> str:
    """``text`` with dashes and in lower case; raises InvalidRequest."""
    if not is_uuid(text):
        raise errors.InvalidRequest(f"{what} must be a uuid, not {text[:80]!r}.")
    return str(uuid_module.UUID(text))


def integer_of(text: str, what: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise errors.InvalidRequest(f"{what} must be a whole number, not {text[:80]!r}.")
    return int(text)


def pairs_of(query: dict[str, Any]) -> dict[str, str]:
    """Value by field of the filters in a checked query; a later pair wins."""
    fields: list[str] = query.get("filters.field", [])
    values: list[str] = query.get("filters.value", [])
    if len(fields) != len(values):
        raise errors.InvalidRequest("Each 'filters.field' needs its 'filters.value', in the same order.")
    return dict(zip(fields, values, strict=True))


def choice_of(text: str, what: str, choices: Iterable[str]) -> str:
    if text not in (known := sorted(choices)):
        raise errors.InvalidRequest(f"{what} must be one of {', '.join(known)}, not {text[:80]!r}.")
    return text
