# SPDX-License-Identifier: Apache-2.0
"""From a path to a controller: versions, the alias, and the suffix that clients may add."""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pecan

from cyborg.api import errors as api_errors
from cyborg.api import microversions, openapi, routing
from cyborg.api.controllers.v2 import (
    accelerator_requests,
    accelerators,
    attributes,
    deployables,
    device_profiles,
    devices,
    hosts,
    operations,
)
from cyborg.api.request import Request
from cyborg.api.schemas import versions as schema
from cyborg.api.views import versions
from cyborg.api.views.common import Wire

CURRENT = "v2"
_VERSION = re.compile(r"v[0-9.]+\Z")
_SUFFIX = ".json"


class Versions(routing.Resource):
    """The documents for which nobody needs a token: they tell of the API, and of nothing in it."""

    public = True

    def __init__(self, resources: Mapping[str, routing.Resource]) -> None:
        super().__init__()
        self._described = {"": self} | {f"{CURRENT}/{name}": resource for name, resource in resources.items()}
        #: The OpenAPI document by version, without the place where it is served.
        self.document = functools.cache(lambda version: openapi.document(self._described, version))

    def serves(self, segments: Sequence[str]) -> bool:
        return any(tuple(segments) == route.pattern for route, _ in self.routes)

    @routing.route("GET", answer=schema.ROOT)
    def root(self, request: Request, _response: pecan.Response) -> Wire:
        """200."""
        return versions.root(request)

    @routing.route("GET", CURRENT, answer=schema.VERSION)
    def current(self, request: Request, _response: pecan.Response) -> Wire:
        """200."""
        return versions.v2(request)

    @routing.route("GET", f"{CURRENT}/openapi.json", answer=schema.DOCUMENT)
    def openapi(self, request: Request, _response: pecan.Response) -> Wire:
        """200."""
        return {**self.document(request.version), "servers": [{"url": request.link()}]}


def resources() -> dict[str, routing.Resource]:
    """What there is below the version, by name."""
    return {
        "accelerator_requests": accelerator_requests.AcceleratorRequestsController(),
        "accelerators": accelerators.AcceleratorsController(),
        "attributes": attributes.AttributesController(),
        "deployables": deployables.DeployablesController(),
        "device_profiles": device_profiles.DeviceProfilesController(),
        "devices": devices.DevicesController(),
        "hosts": hosts.HostsController(),
        "operations": operations.OperationsController(),
    }


class RootController:
    """A path without a version means the current one; below it a table says what there is, nothing else is."""

    def __init__(self) -> None:
        self._resources = resources()
        self._versions = Versions(self._resources)

    @pecan.expose()
    def _route(self, _segments: list[str], request: Request) -> tuple[Any, Sequence[str]]:
        request.route, method, arguments = self.find(request)
        return method, arguments

    def find(self, request: Request) -> tuple[routing.Route, routing.Bound, list[str]]:
        """(route, its method, the method's arguments); raises UnknownPath or MethodNotAllowed."""
        verb, segments = request.method, request.segments()
        if self._versions.serves(segments):
            return self._versions.find(verb, segments, microversions.MIN)
        if segments[0] == CURRENT:
            segments = segments[1:]
        elif _VERSION.match(segments[0]):
            raise api_errors.UnknownPath(f"There is no version {segments[0]!r} of this API; use {CURRENT}.")
        name = segments[0].removesuffix(_SUFFIX) if len(segments) == 1 else segments[0]
        if name not in self._resources:
            raise api_errors.UnknownPath("The resource could not be found.")
        return self._resources[name].find(verb, segments[1:], request.version)
