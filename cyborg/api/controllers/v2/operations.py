# SPDX-License-Identifier: Apache-2.0
"""Operations: what must still happen, and what was given up, for administrators to see; nobody changes them here."""

import pecan

from cyborg.api import microversions, routing
from cyborg.api.controllers.v2 import paging
from cyborg.api.request import Request
from cyborg.api.schemas import common
from cyborg.api.schemas import operations as schema
from cyborg.api.views import operations as view
from cyborg.api.views.common import Wire
from cyborg.policies import operations as policies
from cyborg.store import operation_list


class OperationsController(routing.Resource):
    @routing.route("GET", query=schema.QUERY, answer=schema.LIST, since=microversions.OPERATIONS)
    def get_all(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 400 query; 403."""
        request.allow(policies.GET_ALL)
        listing = paging.read(request)
        state = listing.query.get("state")
        wanted = operation_list.Filter(
            kind=listing.query.get("kind"),
            hostname=listing.query.get("hostname"),
            subject=listing.uuid("subject"),
            state=None if state is None else operation_list.State(state),
        )
        with request.store.reading() as tx:
            found = operation_list.page(tx, wanted, listing.part)
        return listing.answer(view.COLLECTION, [view.one(request, record) for record in found])

    @routing.route("GET", "{uuid}", answer=schema.ONE, since=microversions.OPERATIONS)
    def get_one(self, request: Request, _response: pecan.Response, uuid: str) -> Wire:
        """200; 400 no uuid; 403; 404 unknown, or done."""
        request.allow(policies.GET_ONE)
        request.read_query()
        with request.store.reading() as tx:
            return view.one(request, operation_list.get(tx, common.uuid_of(uuid, "An operation")))
