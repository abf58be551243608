# SPDX-License-Identifier: Apache-2.0
"""Devices: the cards that agents found; operators take them out of scheduling and put them back."""

from http import HTTPStatus

import pecan

from cyborg.api import microversions, routing
from cyborg.api.controllers.v2 import paging
from cyborg.api.request import Request
from cyborg.api.schemas import common
from cyborg.api.schemas import devices as schema
from cyborg.api.views import devices as view
from cyborg.api.views.common import Wire, tag
from cyborg.domain import errors, inventory
from cyborg.policies import devices as policies
from cyborg.store import devices


class DevicesController(routing.Resource):
    @routing.route("GET", query=schema.QUERY, answer=schema.LIST)
    def get_all(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 400 query; 403."""
        request.allow(policies.GET_ALL)
        listing = paging.read(request)
        filters = {name: listing.query.get(name) for name in ("type", "vendor", "model", "status", "hostname")}
        with request.store.reading() as tx:
            found = devices.page(tx, devices.Filter(**filters), listing.part)
        return listing.answer(view.COLLECTION, [view.one(request, record) for record in found])

    @routing.route("GET", "{uuid}", answer=schema.ONE)
    def get_one(self, request: Request, response: pecan.Response, uuid: str) -> Wire:
        """200; 403; 404 unknown, or no uuid at all."""
        request.allow(policies.GET_ONE)
        request.read_query()
        with request.store.reading() as tx:
            found = devices.get(tx, _uuid(uuid))
        tag(request, response, found.generation)
        return view.one(request, found)

    @routing.route("POST", "{uuid}/disable", body=schema.DISABLE, answer=schema.EFFECT)
    def disable(self, request: Request, response: pecan.Response, uuid: str) -> Wire | pecan.Response:
        """204; 200 ``dry_run``; 400; 403; 404; 409 it has changed, or is in use; 503. What is held stays held."""
        request.allow(policies.DISABLE)
        return _set_status(request, response, uuid, inventory.DeviceStatus.MAINTAINING)

    @routing.route("POST", "{uuid}/enable", body=schema.ENABLE, answer=schema.EFFECT)
    def enable(self, request: Request, response: pecan.Response, uuid: str) -> Wire | pecan.Response:
        """204; 200 ``dry_run``; 400; 403; 404; 409 it has changed; 503."""
        request.allow(policies.ENABLE)
        return _set_status(request, response, uuid, inventory.DeviceStatus.ENABLED)


def _set_status(
    request: Request, response: pecan.Response, uuid: str, status: inventory.DeviceStatus
) -> Wire | pecan.Response:
    """Below the version that knows of draining, a device in use is drained without being asked."""
    request.read_query()
    asked = request.read_body() if request.version >= microversions.DRAIN else {"drain": True}
    effect = request.conductor.set_device_status(
        request.caller,
        _uuid(uuid),
        status,
        drain=asked.get("drain", False),
        dry_run=asked.get("dry_run", False),
        generation=request.expected_generation(asked),
    )
    if asked.get("dry_run"):
        return view.effect(request, effect, drain=asked.get("drain", False))
    response.status_int = HTTPStatus.NO_CONTENT
    return response


def _uuid(text: str) -> str:
    if not common.is_uuid(text):
        raise errors.NotFound(f"There is no device {text[:80]!r}.")
    return common.uuid_of(text, "A device")
