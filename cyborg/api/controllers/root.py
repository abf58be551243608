# SPDX-License-Identifier: Apache-2.0
"""From a path to a controller: versions, the alias, and the suffix that clients may add."""

import re
from collections.abc import Sequence
from typing import Any

import pecan

from cyborg.api import errors as api_errors
from cyborg.api import routing
from cyborg.api.controllers.v2 import accelerator_requests, attributes, deployables, device_profiles, devices
from cyborg.api.request import Request
from cyborg.api.views import versions
from cyborg.api.views.common import Wire

CURRENT = "v2"
_VERSION = re.compile(r"v[0-9.]+\Z")
_SUFFIX = ".json"


class Versions(routing.Resource):
    """The two documents for which nobody needs a token."""

    @routing.route("GET")
    def root(self, request: Request, _response: pecan.Response) -> Wire:
        """200."""
        return versions.root(request)

    @routing.route("GET", CURRENT)
    def current(self, request: Request, _response: pecan.Response) -> Wire:
        """200; 406 version."""
        return versions.v2(request)


class RootController:
    """A path without a version means the current one; below it a table says what there is, nothing else is."""

    def __init__(self) -> None:
        self._versions = Versions()
        self._resources: dict[str, routing.Resource] = {
            "accelerator_requests": accelerator_requests.AcceleratorRequestsController(),
            "attributes": attributes.AttributesController(),
            "deployables": deployables.DeployablesController(),
            "device_profiles": device_profiles.DeviceProfilesController(),
            "devices": devices.DevicesController(),
        }

    @pecan.expose()
    def _route(self, _segments: list[str], request: Request) -> tuple[Any, Sequence[str]]:
        segments = request.segments()
        if segments in ([], [CURRENT]):
            return self._versions.find(request.method, segments)
        if segments[0] == CURRENT:
            segments = segments[1:]
        elif _VERSION.match(segments[0]):
            raise api_errors.UnknownPath(f"There is no version {segments[0]!r} of this API; use {CURRENT}.")
        name = segments[0].removesuffix(_SUFFIX) if len(segments) == 1 else segments[0]
        if name not in self._resources:
            raise api_errors.UnknownPath("The resource could not be found.")
        return self._resources[name].find(request.method, segments[1:])
