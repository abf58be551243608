# SPDX-License-Identifier: Apache-2.0
"""Device profiles: what flavors and users ask for, by name."""

import uuid as uuid_module
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pecan

from cyborg.api import errors as api_errors
from cyborg.api import microversions, routing, schemas
from cyborg.api.request import Request
from cyborg.api.schemas import common
from cyborg.api.schemas import device_profiles as schema
from cyborg.api.views import device_profiles as view
from cyborg.api.views.common import Wire, listed
from cyborg.domain import errors, profile
from cyborg.policies import device_profiles as policies
from cyborg.store import device_profiles
from cyborg.store.records import ProfileRecord


class DeviceProfilesController(routing.Resource):
    @routing.route("GET")
    def get_all(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 400 query; 403. Names that do not exist give fewer items."""
        request.allow(policies.GET_ALL)
        query = request.query_as(schema.QUERY)
        names = [name.strip() for name in query["name"].split(",")] if query.get("name") else None
        with request.store.reading() as tx:
            found = device_profiles.page(tx, device_profiles.Filter(names=names))
        return listed(view.COLLECTION, [view.one(request, record) for record in found])

    @routing.route("GET", "{value}")
    def get_one(self, request: Request, _response: pecan.Response, value: str) -> Wire:
        """200; 403; 404; 406 by name below 2.2."""
        request.allow(policies.GET_ONE)
        request.query_as(common.NOTHING)
        if not common.is_uuid(value) and request.version < microversions.PROFILE_BY_NAME:
            raise errors.NotAcceptable(
                f"A device profile is shown by name from version {microversions.PROFILE_BY_NAME} on, "
                f"not in {request.version}; use its uuid."
            )
        with request.store.reading() as tx:
            return view.wrapped(request, device_profiles.get(tx, _key(value)))

    @routing.route("POST")
    def post(self, request: Request, response: pecan.Response) -> Wire:
        """201; 400 body; 403; 409 the name is taken; 500 no name, name too long, the uuid is taken."""
        request.allow(policies.CREATE)
        request.query_as(common.NOTHING)
        body = request.body_unchecked()
        _refuse_pinned(body)
        schemas.check(body, schema.CREATE, "body")
        made = _create(request, body[0])
        response.status_int = HTTPStatus.CREATED
        return view.one(request, made)

    @routing.route("DELETE", "{value}")
    def delete(self, request: Request, response: pecan.Response, value: str) -> pecan.Response:
        """204; 403; 404. A profile in use may go: requests have their own copy."""
        request.query_as(common.NOTHING)
        return _delete(request, response, [value])

    @routing.route("DELETE")
    def delete_several(self, request: Request, response: pecan.Response) -> pecan.Response:
        """204; 400 nothing named; 403; 404 one of them is unknown: the others are gone all the same."""
        values = request.query_as(schema.DELETE_QUERY).get("value", "")
        names = [name.strip() for name in values.split(",") if name.strip()]
        if not names:
            raise errors.InvalidRequest("Name the device profiles to delete, by path or ?value=name1,name2.")
        return _delete(request, response, names)


def _key(value: str) -> str:
    """What the store looks for: a uuid with dashes, or the name; raises NotFound for what cannot be either."""
    if common.is_uuid(value):
        return common.uuid_of(value, "A device profile")
    if len(value) > schema.NAME["maxLength"]:
        raise errors.NotFound(f"There is no device profile {value[:80]!r}...")
    return value


def _refuse_pinned(body: Any) -> None:
    """Clients' test suites pin these as a server's fault; everything else about a body is checked by its schema."""
    if not (isinstance(body, list) and len(body) == 1 and isinstance(body[0], dict)):
        return
    name = body[0].get("name", "")
    if name == "":
        raise api_errors.Refused("A device profile needs a name: letters, digits, '-' and '_'.")
    if isinstance(name, str) and len(name) > schema.NAME["maxLength"]:
        raise api_errors.Refused(
            f"The name has {len(name)} characters; at most {schema.NAME['maxLength']} are allowed."
        )


def _create(request: Request, given: Mapping[str, Any]) -> ProfileRecord:
    _, groups = profile.parse_groups(given["groups"])
    chosen = given.get("uuid")
    uuid = common.uuid_of(chosen, "uuid") if chosen else str(uuid_module.uuid4())
    try:
        with request.store.transaction() as tx:
            return device_profiles.create(
                tx, uuid=uuid, name=given["name"], groups=groups, description=given.get("description")
            )
    except errors.AlreadyExists:
        raise
    except errors.Conflict as exc:
        raise api_errors.Refused(exc.message) from exc


def _delete(request: Request, response: pecan.Response, values: list[str]) -> pecan.Response:
    request.allow(policies.DELETE)
    unknown = []
    with request.store.transaction() as tx:
        for value in values:
            try:
                device_profiles.delete(tx, [device_profiles.get(tx, _key(value)).uuid])
            except errors.NotFound:
                unknown.append(value)
    if unknown:
        raise errors.NotFound(f"There is no device profile {', '.join(map(repr, unknown))}.")
    response.status_int = HTTPStatus.NO_CONTENT
    return response
