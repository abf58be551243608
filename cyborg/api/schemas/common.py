# SPDX-License-Identifier: Apache-2.0
"""What several resources have in common: uuids, pairs of filters."""

import re
import uuid as uuid_module
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from cyborg.api import microversions
from cyborg.api.microversions import Version
from cyborg.domain import errors, inventory

Schema = dict[str, Any]
#: The version from which on a member exists, and the first one in which it does not exist any more.
SINCE = "x-openstack-min-version"
UNTIL = "x-openstack-removed-in-version"
#: By value of an enum, the version from which on there is that one.
VALUES_SINCE = "x-openstack-values-min-version"

_UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,18}", re.ASCII)
NOTHING: Schema = {"type": "object", "properties": {}}
UUID: Schema = {"type": "string", "format": "uuid"}
TEXT: Schema = {"type": "string", "maxLength": 255}
#: Several values, separated by commas: more than the URL that a server takes has room for.
SEVERAL: Schema = {"type": "string", "maxLength": 10_000}
STRING: Schema = {"type": "string"}
NULLABLE_STRING: Schema = {"type": ["string", "null"]}
NULLABLE_UUID: Schema = {"type": ["string", "null"], "format": "uuid"}
TIME: Schema = {"type": "string", "format": "date-time"}
NULLABLE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
LINKS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {
        "title": "Link",
        "type": "object",
        "properties": {"href": {"type": "string", "format": "uri"}, "rel": {"type": "string"}},
        "required": ["href", "rel"],
        "additionalProperties": False,
    },
}
GENERATION: Schema = {"type": "integer", "minimum": 0, "description": "Grows with every change; for If-Match"}
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


def since(version: Version, schema: Schema) -> Schema:
    """``schema`` for a member that exists from ``version`` on."""
    return {**schema, SINCE: str(version)}


def until(version: Version, schema: Schema) -> Schema:
    """``schema`` for a member that exists below ``version`` only."""
    return {**schema, UNTIL: str(version)}


def choice(values: Iterable[str], later: Mapping[str, Version]) -> Schema:
    """One of ``values``, of which those in ``later`` are there from that version on."""
    known = list(values)
    return {"enum": known, VALUES_SINCE: {name: str(later[name]) for name in known if name in later}}


def at(schema: Schema, version: Version) -> Schema:
    """``schema`` as it is in ``version``: without the members and values that came later, or had gone before."""
    found: Schema = {name: _at(value, version) for name, value in schema.items()}
    later = {name for name, since in schema.get(VALUES_SINCE, {}).items() if version < _parsed(since)}
    if later:
        found["enum"] = [name for name in schema["enum"] if name not in later]
    if "properties" in schema:
        members = {name for name, rule in schema["properties"].items() if exists(rule, version)}
        found["properties"] = {name: rule for name, rule in found["properties"].items() if name in members}
        if "required" in schema:
            absent = schema["properties"].keys() - members
            found["required"] = [name for name in schema["required"] if name not in absent]
    return found


def _at(value: Any, version: Version) -> Any:
    if isinstance(value, dict):
        return at(value, version)
    if isinstance(value, list):
        return [_at(item, version) for item in value if exists(item, version)]
    return value


def exists(schema: Any, version: Version) -> bool:
    """Whether what ``schema`` describes is there in ``version``."""
    if not isinstance(schema, dict):
        return True
    since, until = schema.get(SINCE), schema.get(UNTIL)
    return (since is None or _parsed(since) <= version) and (until is None or version < _parsed(until))


def _parsed(text: str) -> Version:
    major, minor = text.split(".")
    return Version(int(major), int(minor))


def query(
    *,
    always: Mapping[str, Schema] | None = None,
    before: Mapping[str, Schema] | None = None,
    filters: Mapping[str, Schema] | None = None,
    sorts: Iterable[str],
) -> Schema:
    """The query of a list: ``always``; ``before`` below the version with pages; from there on ``filters`` and pages."""
    pages: dict[str, Schema] = {
        **(filters or {}),
        "limit": {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"},
        "marker": UUID,
        "sort_key": {"type": "string", "enum": [*sorts]},
        "sort_dir": {"type": "string", "enum": ["asc", "desc"]},
    }
    return {
        "type": "object",
        "properties": {
            **(always or {}),
            **{name: until(microversions.PAGES, rule) for name, rule in (before or {}).items()},
            **{name: since(microversions.PAGES, rule) for name, rule in pages.items()},
        },
    }


def details(members: Mapping[str, Schema]) -> dict[str, Schema]:
    """``members`` as they exist from the version with details on."""
    return {name: since(microversions.DETAILS, rule) for name, rule in members.items()}


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


def answer(title: str, members: Mapping[str, Schema], *, optional: Collection[str] = ()) -> Schema:
    """The schema of an object that is answered: just these members, all there unless ``optional``."""
    return {
        "title": title,
        "type": "object",
        "properties": dict(members),
        "required": [name for name in members if name not in optional],
        "additionalProperties": False,
    }


def listing(title: str, collection: str, one: Schema) -> Schema:
    links = f"{collection}_links"
    members = {collection: {"type": "array", "items": one}, links: since(microversions.PAGES, LINKS)}
    return answer(title, members, optional=(links,))


_NUMBER: Schema = {"type": "integer", "minimum": 0}
#: States of accelerators that came later; older versions show another one, see the views.
LATER_STATES = {"reserved": microversions.OPERATIONS, "cleaning": microversions.OPERATIONS}
STATE: Schema = choice(map(str, inventory.AcceleratorState), LATER_STATES)
#: Numbers of accelerators, by state.
COUNTS: Schema = answer(
    "Counts",
    {
        str(state): since(LATER_STATES[state], _NUMBER) if state in LATER_STATES else _NUMBER
        for state in inventory.AcceleratorState
    },
)
