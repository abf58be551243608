# SPDX-License-Identifier: Apache-2.0
"""Accelerator requests: created here, bound, unbound and deleted by the conductor.

What another project owns looks as if it were not there, unless the caller is an administrator or another service
with a valid service token: that one acts for the instance, whoever's it is.
"""

import dataclasses
import uuid as uuid_module
from collections.abc import Collection, Iterable
from http import HTTPStatus

import pecan

from cyborg.api import microversions, routing
from cyborg.api.controllers.v2 import paging
from cyborg.api.request import Request
from cyborg.api.schemas import accelerator_requests as schema
from cyborg.api.schemas import common
from cyborg.api.views import accelerator_requests as view
from cyborg.api.views.common import Wire, listed
from cyborg.domain import arq, errors, profile
from cyborg.policies import accelerator_requests as policies
from cyborg.store import arqs, device_profiles

UNRESOLVED = frozenset(arq.State) - arq.RESOLVED


class AcceleratorRequestsController(routing.Resource):
    @routing.route("GET", query=schema.LIST_QUERY, answer=schema.LIST)
    def get_all(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 400 query; 403; 423 ``bind_state=resolved`` and some request of the instance is not."""
        request.allow(policies.GET_ALL)
        listing = paging.read(request)
        wanted = _filter(request, listing)
        with request.store.reading() as tx:
            if wanted.instance_uuid and "bind_state" in listing.query:
                _check_resolved(arqs.page(tx, dataclasses.replace(wanted, states=UNRESOLVED)))
            found = arqs.page(tx, wanted, listing.part)
        return listing.answer(view.COLLECTION, [view.one(request, one) for one in found], view.LISTED)

    @routing.route("GET", "{uuid}", answer=schema.ONE)
    def get_one(self, request: Request, _response: pecan.Response, uuid: str) -> Wire:
        """200; 400 no uuid; 403; 404 unknown, or another project's."""
        request.allow(policies.GET_ONE)
        request.read_query()
        (found,) = _load(request, [common.uuid_of(uuid, "An accelerator request")])
        request.allow(policies.GET_ONE, project_id=found.project_id)
        return view.one(request, found)

    @routing.route("POST", body=schema.CREATE, answer=schema.LIST)
    def post(self, request: Request, response: pecan.Response) -> Wire:
        """201; 400 body; 403; 404 the profile is unknown."""
        request.allow(policies.CREATE)
        request.read_query()
        name = request.read_body()["device_profile_name"]
        # A project that a private profile is not shared with does not know of it, whichever service asks for it.
        seen_by = None if request.caller.is_admin else request.caller.project_id or ""
        with request.store.transaction() as tx:
            known = device_profiles.page(tx, device_profiles.Filter(names=[name], seen_by=seen_by))
            if not known:
                raise errors.NotFound(f"There is no device profile named {name[:80]!r}.")
            made = _new_requests(known[0].name, profile.load_groups(known[0].groups), request.caller.project_id)
            arqs.create(tx, made)
            stored = arqs.get(tx, [one.uuid for one in made])
        response.status_int = HTTPStatus.CREATED
        return listed(view.LISTED, [view.one(request, stored[one.uuid]) for one in made])

    @routing.route("PATCH", body=schema.UPDATE)
    def patch(self, request: Request, response: pecan.Response) -> pecan.Response:
        """202; 400 body, or the instance has requests already; 403; 404; 406 project below 2.1; 409; 503."""
        _need_service_token(request, "Binding and unbinding accelerator requests")
        request.read_query()
        body = request.read_body()
        _check_project_allowed(request, schema.names_project(body))
        update = schema.read_update(body)
        found = _load(request, update.uuids)
        _allow_each(request, policies.UPDATE, found)
        if update.bindings:
            request.conductor.bind(request.caller, update.bindings)
        else:
            request.conductor.unbind(request.caller, update.uuids)
        response.status_int = HTTPStatus.ACCEPTED
        return response

    @routing.route("PATCH", "{uuid}", body=schema.UPDATE)
    def patch_alias(self, request: Request, response: pecan.Response, uuid: str) -> pecan.Response:
        """As `patch`, where openstacksdk sends it: the body names the requests."""
        common.uuid_of(uuid, "An accelerator request")
        return self.patch(request, response)

    @routing.route("DELETE", "{uuid}")
    def delete(self, request: Request, response: pecan.Response, uuids: str) -> pecan.Response:
        """204; 400 no uuid; 403; 404 one of them is unknown: the others are gone all the same; 503."""
        request.read_query()
        return _delete(request, response, uuids)

    @routing.route("DELETE", query=schema.DELETE_QUERY)
    def delete_by_query(self, request: Request, response: pecan.Response) -> pecan.Response:
        """204, also when the instance has none; 400 unless exactly one of ``arqs`` and ``instance``; 403; 404; 503."""
        query = request.read_query()
        if len(query) != 1:
            raise errors.InvalidRequest("Say which to delete: either ?arqs=uuid1,uuid2 or ?instance=uuid.")
        if "arqs" in query:
            return _delete(request, response, query["arqs"])
        _need_service_token(request, "Deleting the accelerator requests of an instance")
        request.allow(policies.DELETE)
        request.conductor.delete_for_instance(request.caller, common.uuid_of(query["instance"], "instance"))
        response.status_int = HTTPStatus.NO_CONTENT
        return response


def _filter(request: Request, listing: paging.Listing) -> arqs.Filter:
    query, own = listing.query, _project(request)
    project = query.get("project_id")
    states = {arq.State(query["state"])} if "state" in query else None
    if "bind_state" in query and "instance" not in query:
        states = set(arq.RESOLVED) if states is None else states & arq.RESOLVED
    return arqs.Filter(
        instance_uuid=listing.uuid("instance"),
        project_id=project if own is None else own,
        uuids=() if own is not None and project not in (None, own) else None,
        states=states,
        hostname=query.get("hostname"),
        profile_name=query.get("device_profile_name"),
    )


def _sees_all(request: Request) -> bool:
    return bool(request.caller.is_admin or request.caller.from_service)


def _project(request: Request) -> str | None:
    """The project to which the caller's view is limited; "" is nobody's."""
    return None if _sees_all(request) else request.caller.project_id or ""


def _find(request: Request, uuids: Collection[str]) -> list[arq.Arq]:
    """Those that exist and that the caller may know of."""
    with request.store.reading() as tx:
        found = arqs.get(tx, uuids)
    project = _project(request)
    return [one for one in found.values() if project is None or one.project_id == project]


def _load(request: Request, uuids: Collection[str]) -> list[arq.Arq]:
    found = _find(request, uuids)
    _check_known(uuids, found)
    return found


def _check_known(uuids: Iterable[str], found: Iterable[arq.Arq]) -> None:
    known = {one.uuid for one in found}
    unknown = [uuid for uuid in uuids if uuid not in known]
    if unknown:
        raise errors.NotFound(f"There is no accelerator request {', '.join(unknown)}.")


def _allow_each(request: Request, rule: str, found: Iterable[arq.Arq]) -> None:
    for project in sorted({one.project_id or "" for one in found}):
        request.allow(rule, project_id=project)


def _need_service_token(request: Request, what: str) -> None:
    if not request.caller.from_service:
        raise errors.Forbidden(
            f"{what} requires a service token: it is done by Nova and other services. "
            "Set [service_user] send_service_user_token there."
        )


def _check_resolved(waiting: Collection[arq.Arq]) -> None:
    if waiting:
        uuids = ", ".join(one.uuid for one in waiting)
        raise errors.NotResolved(f"Accelerator requests are not resolved yet: {uuids}. Ask again later.")


def _new_requests(name: str, groups: Iterable[profile.Group], project_id: str | None) -> list[arq.Arq]:
    return [
        arq.Arq(
            uuid=str(uuid_module.uuid4()),
            project_id=project_id,
            state=arq.State.INITIAL,
            profile_name=name,
            group_id=index,
            group=group,
        )
        for index, group in enumerate(groups)
        for _ in range(group.accelerator_count)
    ]


def _check_project_allowed(request: Request, named: bool) -> None:  # noqa: FBT001 - the one thing it is about
    if named and request.version < microversions.BIND_PROJECT:
        raise errors.NotAcceptable(
            f"/project_id is part of the API from version {microversions.BIND_PROJECT} on, not in {request.version}."
        )
    if named and not request.caller.is_admin:
        raise errors.Forbidden("Only administrators may give /project_id.")


def _delete(request: Request, response: pecan.Response, text: str) -> pecan.Response:
    """Those that exist go, whatever the others: a caller that gives up after a 404 must not leak them."""
    request.allow(policies.DELETE)
    uuids = list(dict.fromkeys(common.uuid_of(part.strip(), "An accelerator request") for part in text.split(",")))
    found = _find(request, uuids)
    _allow_each(request, policies.DELETE, found)
    if any(one.instance_uuid for one in found):
        _need_service_token(request, "Deleting an accelerator request that is bound")
    if found:
        request.conductor.delete_arqs(request.caller, [one.uuid for one in found])
    _check_known(uuids, found)
    response.status_int = HTTPStatus.NO_CONTENT
    return response
