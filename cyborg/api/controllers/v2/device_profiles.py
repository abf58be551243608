# SPDX-License-Identifier: Apache-2.0
"""Device profiles: what flavors and users ask for, by name."""

import uuid as uuid_module
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import pecan

from cyborg.api import errors as api_errors
from cyborg.api import microversions, routing
from cyborg.api.controllers.v2 import paging
from cyborg.api.request import Request
from cyborg.api.schemas import common
from cyborg.api.schemas import device_profiles as schema
from cyborg.api.views import device_profiles as view
from cyborg.api.views.common import Wire, tag
from cyborg.domain import errors, profile
from cyborg.policies import device_profiles as policies
from cyborg.store import device_profiles
from cyborg.store.engine import Transaction
from cyborg.store.records import ProfileRecord


class DeviceProfilesController(routing.Resource):
    @routing.route("GET", query=schema.QUERY, answer=schema.LIST)
    def get_all(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 400 query; 403. Names that do not exist give fewer items."""
        request.allow(policies.GET_ALL)
        listing = paging.read(request)
        text = listing.query.get("name")
        names = [name.strip() for name in text.split(",")] if text else None
        wanted = device_profiles.Filter(names=names, seen_by=_project(request))
        with request.store.reading() as tx:
            found = device_profiles.page(tx, wanted, listing.part)
            shares = _shares(request, tx, found)
        return listing.answer(view.COLLECTION, [view.one(request, record, shares) for record in found])

    @routing.route("GET", "{value}", answer=schema.WRAPPED)
    def get_one(self, request: Request, response: pecan.Response, value: str) -> Wire:
        """200; 403; 404; 406 by name below 2.2."""
        request.allow(policies.GET_ONE)
        request.read_query()
        if not common.is_uuid(value) and request.version < microversions.PROFILE_BY_NAME:
            raise errors.NotAcceptable(
                f"A device profile is shown by name from version {microversions.PROFILE_BY_NAME} on, "
                f"not in {request.version}; use its uuid."
            )
        with request.store.reading() as tx:
            found = device_profiles.get(tx, _key(value), seen_by=_project(request))
            shares = _shares(request, tx, [found])
        tag(request, response, found.generation)
        return view.wrapped(request, found, shares)

    @routing.route("POST", body=schema.CREATE, answer=schema.ONE)
    def post(self, request: Request, response: pecan.Response) -> Wire:
        """201; 400 body; 403; 409 the name is taken; 500 no name, name too long, the uuid is taken."""
        request.allow(policies.CREATE)
        request.read_query()
        body = request.body_unchecked()
        _refuse_pinned(body)
        request.check_body(body)
        made, shares = _create(request, body[0])
        response.status_int = HTTPStatus.CREATED
        return view.one(request, made, shares)

    @routing.route("PATCH", "{value}", body=schema.UPDATE, answer=schema.ONE, since=microversions.PROFILE_UPDATE)
    def patch(self, request: Request, response: pecan.Response, value: str) -> Wire:
        """200; 400 body, If-Match; 403; 404; 409 it has changed. Requests keep the copy that they have."""
        request.allow(policies.UPDATE)
        request.read_query()
        given = request.read_body()
        generation = request.expected_generation(given)
        with request.store.transaction() as tx:
            found = device_profiles.get(tx, _key(value), seen_by=_project(request))
            device_profiles.check_generation(found, generation)
            found = device_profiles.update(tx, found, _values(given))
            _share(tx, found, given.get("projects"))
            shares = _shares(request, tx, [found])
        tag(request, response, found.generation)
        return view.one(request, found, shares)

    @routing.route("DELETE", "{value}")
    def delete(self, request: Request, response: pecan.Response, value: str) -> pecan.Response:
        """204; 400 If-Match; 403; 404; 409 it has changed. A profile in use may go: requests have their own copy."""
        request.read_query()
        return _delete(request, response, [value], request.expected_generation())

    @routing.route("DELETE", query=schema.DELETE_QUERY)
    def delete_several(self, request: Request, response: pecan.Response) -> pecan.Response:
        """204; 400 nothing named, If-Match; 403; 404 one is unknown: the others are gone all the same; 409 changed."""
        values = request.read_query().get("value", "")
        names = [name.strip() for name in values.split(",") if name.strip()]
        if not names:
            raise errors.InvalidRequest("Name the device profiles to delete, by path or ?value=name1,name2.")
        generation = request.expected_generation()
        if generation is not None and len(names) > 1:
            raise errors.InvalidRequest("If-Match is for one device profile; delete them one by one.")
        return _delete(request, response, names, generation)


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


def _create(request: Request, given: Mapping[str, Any]) -> tuple[ProfileRecord, view.Shares]:
    if request.version < microversions.PROFILE_UPDATE:
        given = {name: value for name, value in given.items() if name not in ("visibility", "projects")}
    chosen = given.get("uuid")
    uuid = common.uuid_of(chosen, "uuid") if chosen else str(uuid_module.uuid4())
    try:
        with request.store.transaction() as tx:
            made = device_profiles.create(tx, uuid=uuid, name=given["name"], **_values(given))
            _share(tx, made, given.get("projects"))
            return made, _shares(request, tx, [made])
    except errors.AlreadyExists:
        raise
    except errors.Conflict as exc:
        raise api_errors.Refused(exc.message) from exc


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of a body, as far as it is given; raises InvalidRequest for groups that cannot be asked for."""
    values = {name: given[name] for name in ("description",) if name in given}
    if "groups" in given:
        values["groups"] = profile.parse_groups(given["groups"])[1]
    if "visibility" in given:
        values["visibility"] = profile.Visibility(given["visibility"])
    return values


def _share(tx: Transaction, found: ProfileRecord, projects: Sequence[str] | None) -> None:
    """With those projects, None: as before; raises InvalidRequest for a public profile, which everybody sees."""
    if projects and found.visibility is profile.Visibility.PUBLIC:
        raise errors.InvalidRequest("A public profile is there for every project; make it private to share it.")
    if projects is not None or found.visibility is profile.Visibility.PUBLIC:
        device_profiles.share(tx, found, projects or ())


def _project(request: Request) -> str | None:
    """The project to which the caller's view of private profiles is limited; "" is nobody's."""
    return None if request.caller.is_admin else request.caller.project_id or ""


def _shares(request: Request, tx: Transaction, found: Sequence[ProfileRecord]) -> view.Shares:
    if request.version < microversions.PROFILE_UPDATE or not request.may(policies.UPDATE):
        return None
    return device_profiles.shares(tx, [record.id for record in found])


def _delete(
    request: Request, response: pecan.Response, values: list[str], generation: int | None = None
) -> pecan.Response:
    request.allow(policies.DELETE)
    unknown = []
    with request.store.transaction() as tx:
        for value in values:
            try:
                found = device_profiles.get(tx, _key(value), seen_by=_project(request))
                device_profiles.delete(tx, found, generation=generation)
            except errors.NotFound:
                unknown.append(value)
    if unknown:
        raise errors.NotFound(f"There is no device profile {', '.join(map(repr, unknown))}.")
    response.status_int = HTTPStatus.NO_CONTENT
    return response
