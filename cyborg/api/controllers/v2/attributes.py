# SPDX-License-Identifier: Apache-2.0
"""Attributes of deployables: what drivers report, and notes that operators add."""

from http import HTTPStatus

import pecan

from cyborg.api import routing
from cyborg.api.controllers.v2 import paging
from cyborg.api.request import Request
from cyborg.api.schemas import attributes as schema
from cyborg.api.schemas import common
from cyborg.api.views import attributes as view
from cyborg.api.views.common import Wire
from cyborg.policies import attributes as policies
from cyborg.store import attributes


class AttributesController(routing.Resource):
    @routing.route("GET", query=schema.QUERY, answer=schema.LIST)
    def get_all(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 400 query; 403."""
        request.allow(policies.GET_ALL)
        listing = paging.read(request)
        deployable = listing.query.get("deployable_id")
        wanted = attributes.Filter(
            deployable_id=None if deployable is None else common.integer_of(deployable, "deployable_id"),
            key=listing.query.get("key"),
        )
        with request.store.reading() as tx:
            found = attributes.page(tx, wanted, listing.part)
        return listing.answer(view.COLLECTION, [view.one(request, record) for record in found])

    @routing.route("GET", "{uuid}", answer=schema.ONE)
    def get_one(self, request: Request, _response: pecan.Response, uuid: str) -> Wire:
        """200; 400 no uuid; 403; 404."""
        request.allow(policies.GET_ONE)
        request.read_query()
        with request.store.reading() as tx:
            return view.one(request, attributes.get(tx, common.uuid_of(uuid, "An attribute")))

    @routing.route("POST", body=schema.CREATE, answer=schema.ONE)
    def post(self, request: Request, response: pecan.Response) -> Wire:
        """201; 400 body; 403; 404 deployable; 409 the key is taken."""
        request.allow(policies.CREATE)
        request.read_query()
        body = request.read_body()
        given = body.get("attribute", body)
        deployable = common.integer_of(str(given["deployable_id"]), "deployable_id")
        with request.store.transaction() as tx:
            made = attributes.create(tx, deployable_id=deployable, key=given["key"], value=given["value"])
        response.status_int = HTTPStatus.CREATED
        return view.one(request, made)

    @routing.route("DELETE", "{uuid}")
    def delete(self, request: Request, response: pecan.Response, uuid: str) -> pecan.Response:
        """204; 400 no uuid; 403; 404; 409 a driver reports it."""
        request.allow(policies.DELETE)
        request.read_query()
        with request.store.transaction() as tx:
            attributes.delete(tx, common.uuid_of(uuid, "An attribute"))
        response.status_int = HTTPStatus.NO_CONTENT
        return response
