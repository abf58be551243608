# SPDX-License-Identifier: Apache-2.0
"""Hosts: the compute nodes on which agents run; operators take them out of scheduling and put them back."""

from http import HTTPStatus

import pecan

from cyborg.api import microversions, routing
from cyborg.api.controllers.v2 import paging
from cyborg.api.request import Request
from cyborg.api.schemas import common
from cyborg.api.schemas import hosts as schema
from cyborg.api.views import hosts as view
from cyborg.api.views.common import Wire
from cyborg.domain import errors, inventory
from cyborg.policies import hosts as policies
from cyborg.store import host_list

LONGEST_NAME = 255


class HostsController(routing.Resource):
    @routing.route("GET", query=schema.QUERY, answer=schema.LIST, since=microversions.HOSTS)
    def get_all(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 400 query; 403."""
        request.allow(policies.GET_ALL)
        listing = paging.read(request)
        wanted = host_list.Filter(name=listing.query.get("name"), status=listing.query.get("status"))
        with request.store.reading() as tx:
            found = host_list.page(tx, wanted, listing.part)
        return listing.answer(view.COLLECTION, [view.one(request, record) for record in found])

    @routing.route("GET", "{value}", answer=schema.ONE, since=microversions.HOSTS)
    def get_one(self, request: Request, _response: pecan.Response, value: str) -> Wire:
        """200; 403; 404 neither a uuid nor a name of one."""
        request.allow(policies.GET_ONE)
        request.read_query()
        with request.store.reading() as tx:
            found = host_list.get(tx, _key(value))
        return view.one(request, found, with_differences=request.may(policies.GET_DRIFT))

    @routing.route("POST", "{value}/disable", since=microversions.HOSTS)
    def disable(self, request: Request, response: pecan.Response, value: str) -> pecan.Response:
        """204; 403; 404; 503. What is held on the host stays held; its devices keep their own status."""
        request.allow(policies.DISABLE)
        return _set_status(request, response, value, inventory.HostStatus.DISABLED)

    @routing.route("POST", "{value}/enable", since=microversions.HOSTS)
    def enable(self, request: Request, response: pecan.Response, value: str) -> pecan.Response:
        """204; 403; 404; 503."""
        request.allow(policies.ENABLE)
        return _set_status(request, response, value, inventory.HostStatus.ENABLED)


def _set_status(request: Request, response: pecan.Response, value: str, status: inventory.HostStatus) -> pecan.Response:
    request.read_query()
    with request.store.reading() as tx:
        name = host_list.get(tx, _key(value)).name
    request.conductor.set_host_status(request.caller, name, status)
    response.status_int = HTTPStatus.NO_CONTENT
    return response


def _key(value: str) -> str:
    """A uuid with dashes, or a name; raises NotFound for what cannot be either."""
    if common.is_uuid(value):
        return common.uuid_of(value, "A host")
    if len(value) > LONGEST_NAME:
        raise errors.NotFound(f"There is no host {value[:80]!r}...")
    return value
