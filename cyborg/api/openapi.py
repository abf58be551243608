# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document of one version of the API, made from what is served.

Paths, schemas and statuses come from the routes and the docstrings of their methods, words from the policies; nothing
is written down twice. The version is the one that the reader's header asks for, as everywhere: a member that came
later is not in the document.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from cyborg import policies
from cyborg.api import microversions, routing
from cyborg.api.schemas import common

OPENAPI = "3.1.1"
JSON = "application/json"
VERSION_PARAMETER = "version"
#: What is answered before a method is asked: always, where a token is needed, where a body is read, and where the
#: path has a part that may be anything.
ALWAYS = {HTTPStatus.BAD_REQUEST: "", HTTPStatus.NOT_ACCEPTABLE: "version"}
WITH_TOKEN = {HTTPStatus.UNAUTHORIZED: ""}
WITH_BODY = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "", HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ""}
WITH_PART = {HTTPStatus.NOT_FOUND: ""}

ERROR: common.Schema = {
    "title": "Error",
    "type": "object",
    "properties": {
        "error_message": {
            "type": "string",
            "description": "Plain text, or JSON text of an object with faultcode, faultstring and debuginfo",
        }
    },
    "required": ["error_message"],
    "additionalProperties": False,
}
UNAUTHENTICATED: common.Schema = {
    "title": "Unauthenticated",
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "integer"},
                "title": {"type": "string"},
                "message": {"type": "string"},
            },
            "required": ["code", "title", "message"],
        }
    },
    "required": ["error"],
}
_STATUS = re.compile(r"([1-5][0-9]{2})\b ?([^;.]*)")
_ALIAS = re.compile(r"As `(\w+)`")
_PART = re.compile(r"{[^}]*}")


def document(resources: Mapping[str, routing.Resource], version: microversions.Version) -> dict[str, Any]:
    """The document without ``servers``; ``resources`` are served below their key, a path."""
    components = _Components()
    paths: dict[str, dict[str, Any]] = {}
    for path, route, method in _served(resources, version):
        operation = _operation(path, route, method, version)
        paths.setdefault(path, {})[route.verb.lower()] = components.shared(operation)
    return {
        "openapi": OPENAPI,
        "info": {"title": "OpenStack accelerator API", "version": str(version), "description": _words(version)},
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "parameters": {VERSION_PARAMETER: _version_parameter()},
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                "service": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Service-Token",
                    "description": "The token of a service that passes a user's request on",
                },
            },
        },
        "security": [{"token": []}, {"token": [], "service": []}],
    }


def _served(
    resources: Mapping[str, routing.Resource], version: microversions.Version
) -> Iterator[tuple[str, routing.Route, routing.Bound]]:
    for prefix, resource in resources.items():
        for route, method in resource.routes:
            if route.since <= version:
                yield "/" + "/".join(filter(None, (prefix, *route.pattern))), route, method


def _operation(
    path: str, route: routing.Route, method: routing.Bound, version: microversions.Version
) -> dict[str, Any]:
    form = routing.form_at(route, version)
    owner: routing.Resource = method.__self__  # type: ignore[attr-defined]
    resource = type(owner).__name__.removesuffix("Controller")
    summary, rule = _rules().get((route.verb, _PART.sub("{}", path)), (method.__name__.replace("_", " "), None))
    operation: dict[str, Any] = {
        "operationId": f"{resource}.{method.__name__}",
        "tags": [resource],
        "summary": summary,
        "description": " ".join((method.__doc__ or "").split()),
        "parameters": [*(_path_parameter(name) for name in _parts(route)), *_query_parameters(form.query)],
        "responses": responses(route, method, version),
    }
    if path != "/":
        operation["parameters"].append({"$ref": f"#/components/parameters/{VERSION_PARAMETER}"})
    if rule is not None:
        operation["x-openstack-policy"] = rule
    if route.since > microversions.MIN:
        operation[common.SINCE] = str(route.since)
    if form.body is not None:
        operation["requestBody"] = {"required": "default" not in form.body, "content": {JSON: {"schema": form.body}}}
    if owner.public:
        operation["security"] = []
    return operation


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameters(query: common.Schema) -> Iterator[dict[str, Any]]:
    for name, schema in query.get("properties", {}).items():
        yield {"name": name, "in": "query", "required": name in query.get("required", ()), "schema": schema}


def _parts(route: routing.Route) -> list[str]:
    return [segment.strip("{}") for segment in route.pattern if segment.startswith("{")]


def responses(route: routing.Route, method: routing.Bound, version: microversions.Version) -> dict[str, dict[str, Any]]:
    """What may be answered, by status, with the schemas in full."""
    form = routing.form_at(route, version)
    owner: routing.Resource = method.__self__  # type: ignore[attr-defined]
    found = (
        ALWAYS
        | ({} if owner.public else WITH_TOKEN)
        | (WITH_BODY if form.body is not None else {})
        | (WITH_PART if _parts(route) else {})
        | statuses(method)
    )
    return {str(int(status)): _response(form, status, found[status]) for status in sorted(found)}


def _response(form: routing.Form, status: HTTPStatus, why: str) -> dict[str, Any]:
    response: dict[str, Any] = {"description": ": ".join(filter(None, (status.phrase, why)))}
    schema = _answer(form, status)
    if schema is not None:
        response["content"] = {JSON: {"schema": schema}}
    return response


def _answer(form: routing.Form, status: HTTPStatus) -> common.Schema | None:
    if status is HTTPStatus.NO_CONTENT:
        return None
    if status < HTTPStatus.BAD_REQUEST:
        return form.answer
    return UNAUTHENTICATED if status is HTTPStatus.UNAUTHORIZED else ERROR


def statuses(method: routing.Bound) -> dict[HTTPStatus, str]:
    """Reason by status, from the first paragraph of the docstring: ``201; 400 body; 409 the key is taken``."""
    words = " ".join((method.__doc__ or "").split("\n\n")[0].split())
    alias = _ALIAS.match(words)
    found = statuses(getattr(method.__self__, alias[1])) if alias else {}  # type: ignore[attr-defined]
    return found | {HTTPStatus(int(match[1])): match[2].strip() for match in _STATUS.finditer(words)}


@functools.cache
def _rules() -> dict[tuple[str, str], tuple[str, str]]:
    """(description, rule) by verb and path, names of the path's parts left out."""
    return {
        (served["method"], _PART.sub("{}", served["path"])): (str(rule.description), rule.name)
        for rule in policies.list_rules()
        for served in getattr(rule, "operations", ())
    }


def _version_parameter() -> dict[str, Any]:
    return {
        "name": microversions.HEADER,
        "in": "header",
        "description": f"The version to speak, {microversions.MIN} to {microversions.MAX} or latest; "
        f"without it, {microversions.MIN}",
        "schema": {"type": "string", "examples": [f"{microversions.SERVICE} {microversions.MAX}"]},
    }


def _words(version: microversions.Version) -> str:
    return (
        f"This document describes version {version}. The service speaks {microversions.MIN} to {microversions.MAX}; "
        f"ask for this document with '{microversions.HEADER}: {microversions.SERVICE} latest' to see everything. "
        f"What exists from a later version than {microversions.MIN} on says so in {common.SINCE}.\n\n"
        + "\n".join(f"- {since}: {words}" for since, words in microversions.HISTORY.items() if since <= version)
    )


class _Components:
    """Schemas with a title are written once, under it, and referred to."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}

    def shared(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.shared(item) for item in value]
        if not isinstance(value, dict):
            return value
        made = {name: self.shared(item) for name, item in value.items()}
        title = value.get("title")
        if not isinstance(title, str):
            return made
        known = self.schemas.setdefault(title, made)
        if known != made:
            raise ValueError(f"Two schemas have the title {title!r}.")
        return {"$ref": f"#/components/schemas/{title}"}
