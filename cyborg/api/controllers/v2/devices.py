# SPDX-License-Identifier: Apache-2.0
"""Devices: the cards that agents found; operators take them out of scheduling and put them back."""

from http import HTTPStatus

import pecan

from cyborg.api import routing
from cyborg.api.controllers.v2 import paging
from cyborg.api.request import Request
from cyborg.api.schemas import common
from cyborg.api.schemas import devices as schema
from cyborg.api.views import devices as view
from cyborg.api.views.common import Wire, listed
from cyborg.domain import errors, inventory
from cyborg.policies import devices as policies
from cyborg.store import devices


class DevicesController(routing.Resource):
    @routing.route("GET")
    def get_all(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 400 query; 403."""
        request.allow(policies.GET_ALL)
        query = request.query_as(schema.QUERY)
        part = paging.page(request, query, common.pairs_of(query))
        wanted = devices.Filter(type=query.get("type"), vendor=query.get("vendor"), hostname=query.get("hostname"))
        with request.store.reading() as tx:
            found = devices.page(tx, wanted, part)
        return listed(view.COLLECTION, [view.one(request, record) for record in found])

    @routing.route("GET", "{uuid}")
    def get_one(self, request: Request, _response: pecan.Response, uuid: str) -> Wire:
        """200; 403; 404 unknown, or no uuid at all."""
        request.allow(policies.GET_ONE)
        request.query_as(common.NOTHING)
        with request.store.reading() as tx:
            return view.one(request, devices.get(tx, _uuid(uuid)))

    @routing.route("POST", "{uuid}/disable")
    def disable(self, request: Request, response: pecan.Response, uuid: str) -> pecan.Response:
        """204; 403; 404; 503. What the device's holders hold stays theirs."""
        request.allow(policies.DISABLE)
        return _set_status(request, response, uuid, inventory.DeviceStatus.MAINTAINING)

    @routing.route("POST", "{uuid}/enable")
    def enable(self, request: Request, response: pecan.Response, uuid: str) -> pecan.Response:
        """204; 403; 404; 503."""
        request.allow(policies.ENABLE)
        return _set_status(request, response, uuid, inventory.DeviceStatus.ENABLED)


def _set_status(
    request: Request, response: pecan.Response, uuid: str, status: inventory.DeviceStatus
) -> pecan.Response:
    request.query_as(common.NOTHING)
    request.conductor.set_device_status(request.caller, _uuid(uuid), status)
    response.status_int = HTTPStatus.NO_CONTENT
    return response


def _uuid(text: str) -> str:
    if not common.is_uuid(text):
        raise errors.NotFound(f"There is no device {text[:80]!r}.")
    return common.uuid_of(text, "A device")
