# SPDX-License-Identifier: Apache-2.0
"""Deployables: the parts of devices that are scheduled."""

import pecan

from cyborg.api import routing
from cyborg.api.controllers.v2 import paging
from cyborg.api.request import Request
from cyborg.api.schemas import common
from cyborg.api.schemas import deployables as schema
from cyborg.api.views import deployables as view
from cyborg.api.views.common import Wire
from cyborg.domain import errors
from cyborg.policies import deployables as policies
from cyborg.store import deployables


class DeployablesController(routing.Resource):
    @routing.route("GET", query=schema.QUERY, answer=schema.LIST)
    def get_all(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 400 query; 403."""
        request.allow(policies.GET_ALL)
        listing = paging.read(request)
        wanted = deployables.Filter(
            name=listing.pairs.get("name", listing.query.get("name")),
            device_uuid=listing.uuid("device_uuid"),
            hostname=listing.query.get("hostname"),
        )
        with request.store.reading() as tx:
            found = deployables.page(tx, wanted, listing.part)
        return listing.answer(view.COLLECTION, [view.one(request, record) for record in found])

    @routing.route("GET", "{uuid}", answer=schema.ONE)
    def get_one(self, request: Request, _response: pecan.Response, uuid: str) -> Wire:
        """200; 400 no uuid; 403; 404."""
        request.allow(policies.GET_ONE)
        request.read_query()
        with request.store.reading() as tx:
            return view.one(request, deployables.get(tx, common.uuid_of(uuid, "A deployable")))

    @routing.route("PATCH", "{uuid}/program", body=schema.PROGRAM, answer=schema.ONE)
    def program(self, request: Request, _response: pecan.Response, uuid: str) -> Wire:
        """400 body; 403; 404; 409 the driver cannot program."""
        request.allow(policies.PROGRAM)
        request.read_query()
        request.read_body()
        with request.store.reading() as tx:
            found = deployables.get(tx, common.uuid_of(uuid, "A deployable"))
        raise errors.Conflict(f"Deployable {found.uuid} cannot be programmed: driver {found.driver} does not offer it.")

    @routing.route("PATCH", "{uuid}/program/{again}", body=schema.PROGRAM, answer=schema.ONE)
    def program_alias(self, request: Request, response: pecan.Response, uuid: str, again: str) -> Wire:
        """As `program`, where openstacksdk sends it; 400 when the path names two deployables."""
        if common.uuid_of(uuid, "A deployable") != common.uuid_of(again, "A deployable"):
            raise errors.InvalidRequest(f"The path names two deployables, {uuid} and {again}.")
        return self.program(request, response, uuid)
