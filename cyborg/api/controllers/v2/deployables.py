# SPDX-License-Identifier: Apache-2.0
"""Deployables: the parts of devices that are scheduled."""

import pecan

from cyborg.api import routing
from cyborg.api.controllers.v2 import paging
from cyborg.api.request import Request
from cyborg.api.schemas import common
from cyborg.api.schemas import deployables as schema
from cyborg.api.views import deployables as view
from cyborg.api.views.common import Wire, listed
from cyborg.domain import errors
from cyborg.policies import deployables as policies
from cyborg.store import deployables


class DeployablesController(routing.Resource):
    @routing.route("GET")
    def get_all(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 400 query; 403."""
        request.allow(policies.GET_ALL)
        query = request.query_as(schema.QUERY)
        pairs = common.pairs_of(query)
        wanted = deployables.Filter(name=pairs.get("name"))
        with request.store.reading() as tx:
            found = deployables.page(tx, wanted, paging.page(request, query, pairs))
        return listed(view.COLLECTION, [view.one(request, record) for record in found])

    @routing.route("GET", "{uuid}")
    def get_one(self, request: Request, _response: pecan.Response, uuid: str) -> Wire:
        """200; 400 no uuid; 403; 404."""
        request.allow(policies.GET_ONE)
        request.query_as(common.NOTHING)
        with request.store.reading() as tx:
            return view.one(request, deployables.get(tx, common.uuid_of(uuid, "A deployable")))

    @routing.route("PATCH", "{uuid}/program")
    def program(self, request: Request, _response: pecan.Response, uuid: str) -> Wire:
        """400 body; 403; 404; 409 the driver cannot program."""
        request.allow(policies.PROGRAM)
        request.query_as(common.NOTHING)
        request.body_as(schema.PROGRAM)
        with request.store.reading() as tx:
            found = deployables.get(tx, common.uuid_of(uuid, "A deployable"))
        raise errors.Conflict(f"Deployable {found.uuid} cannot be programmed: driver {found.driver} does not offer it.")

    @routing.route("PATCH", "{uuid}/program/{again}")
    def program_alias(self, request: Request, response: pecan.Response, uuid: str, again: str) -> Wire:
        """As `program`, where openstacksdk sends it; 400 when the path names two deployables."""
        if common.uuid_of(uuid, "A deployable") != common.uuid_of(again, "A deployable"):
            raise errors.InvalidRequest(f"The path names two deployables, {uuid} and {again}.")
        return self.program(request, response, uuid)
