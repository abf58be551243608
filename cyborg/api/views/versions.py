# SPDX-License-Identifier: Apache-2.0
"""Which versions there are, for clients that look before they speak."""

from cyborg.api import microversions
from cyborg.api.request import Request
from cyborg.api.views.common import Wire


def root(request: Request) -> Wire:
    version = _version("v2", request.link("v2"))
    return {
        "name": "OpenStack Cyborg API",
        "description": "Cyborg manages accelerators: GPUs, FPGAs and other cards, for OpenStack and others.",
        "versions": [version],
        "default_version": version,
    }


def v2(request: Request) -> Wire:
    return _version("v2.0", request.link("v2", ""))


def _version(name: str, href: str) -> Wire:
    return {
        "id": name,
        "links": [{"href": href, "rel": "self"}],
        "max_version": str(microversions.MAX),
        "min_version": str(microversions.MIN),
        "status": "CURRENT",
    }
