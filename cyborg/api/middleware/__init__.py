# SPDX-License-Identifier: Apache-2.0
"""Filters for paste files, configured by our own configuration; their names are public, files name them."""

from collections.abc import Callable
from typing import Any

from oslo_middleware import cors, healthcheck, http_proxy_to_wsgi, request_id

from cyborg.api import wiring

Filter = Callable[[Any], Any]
HEALTHCHECK = "/healthcheck"


def cors_filter(_global: dict[str, str], **_local: str) -> Filter:
    conf = wiring.current().conf
    return lambda application: cors.CORS(application, conf)


def proxy_filter(_global: dict[str, str], **_local: str) -> Filter:
    conf = wiring.current().conf
    return lambda application: http_proxy_to_wsgi.HTTPProxyToWSGI(application, conf)


def request_id_filter(_global: dict[str, str], **_local: str) -> Filter:
    conf = wiring.current().conf
    return lambda application: request_id.RequestId(application, conf)


def healthcheck_filter(_global: dict[str, str], **_local: str) -> Filter:
    """oslo's application answers every path it is given, so it is given one."""
    health = healthcheck.Healthcheck(None, wiring.current().conf)

    def around(application: Any) -> Any:
        def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            asked = environ.get("PATH_INFO", "").rstrip("/") == HEALTHCHECK
            return (health if asked else application)(environ, start_response)

        return serve

    return around
