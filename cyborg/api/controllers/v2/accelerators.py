# SPDX-License-Identifier: Apache-2.0
"""Accelerators: the units that requests hold, and who holds them."""

import pecan

from cyborg.api import microversions, routing
from cyborg.api.controllers.v2 import paging
from cyborg.api.request import Request
from cyborg.api.schemas import accelerators as schema
from cyborg.api.schemas import common
from cyborg.api.views import accelerators as view
from cyborg.api.views.common import Wire, states_shown_as
from cyborg.policies import accelerators as policies
from cyborg.store import accelerators


class AcceleratorsController(routing.Resource):
    @routing.route("GET", query=schema.QUERY, answer=schema.LIST, since=microversions.ACCELERATORS)
    def get_all(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 400 query; 403."""
        request.allow(policies.GET_ALL)
        listing = paging.read(request)
        state = listing.query.get("state")
        wanted = accelerators.Filter(
            deployable_uuid=listing.uuid("deployable_uuid"),
            device_uuid=listing.uuid("device_uuid"),
            hostname=listing.query.get("hostname"),
            states=None if state is None else states_shown_as(request, state),
        )
        with_holder = request.may(policies.GET_HOLDER)
        with request.store.reading() as tx:
            found = accelerators.page(tx, wanted, listing.part)
        return listing.answer(view.COLLECTION, [view.one(request, one, with_holder=with_holder) for one in found])

    @routing.route("GET", "{uuid}", answer=schema.ONE, since=microversions.ACCELERATORS)
    def get_one(self, request: Request, _response: pecan.Response, uuid: str) -> Wire:
        """200; 400 no uuid; 403; 404."""
        request.allow(policies.GET_ONE)
        request.read_query()
        with request.store.reading() as tx:
            found = accelerators.get(tx, common.uuid_of(uuid, "An accelerator"))
        return view.one(request, found, with_holder=request.may(policies.GET_HOLDER))
