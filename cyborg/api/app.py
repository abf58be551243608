# SPDX-License-Identifier: Apache-2.0
"""The WSGI application: put together here, from what it is given.

cors > http_proxy_to_wsgi > request_id > healthcheck > authtoken      the paste file: the operator's
  Answers > size limit > pecan > controller                           `build`: ours, always there
"""

import configparser
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pecan
from oslo_config import cfg
from oslo_middleware import cors, sizelimit
from paste import deploy

from cyborg import policies
from cyborg.api import answers, microversions, request, wiring
from cyborg.api.controllers import root
from cyborg.domain import errors
from cyborg.rpc.conductor import ConductorClient
from cyborg.store.engine import Store

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_VERSION_HEADERS = [microversions.HEADER, microversions.MIN_HEADER, microversions.MAX_HEADER]


class Response(pecan.Response):
    """An answer is JSON, or has no body."""

    default_content_type = "application/json"


class JsonRenderer:
    """What controllers return is plain already; pecan's own renderer would look for objects to convert."""

    def __init__(self, *_unused: Any) -> None:
        """pecan passes where templates would be."""

    def render(self, _template: str, namespace: Any) -> str:
        return json.dumps(namespace, separators=(",", ":"))


def build(
    conf: cfg.ConfigOpts, store: Store, conductor: ConductorClient, enforcer: policies.Enforcer | None = None
) -> Application:
    """The application without the operator's middleware: it trusts the identity headers that it is sent."""
    services = wiring.Services(
        conf=conf, store=store, conductor=conductor, enforcer=enforcer or policies.Enforcer(conf)
    )
    return _build(services)


def load(conf: cfg.ConfigOpts, store: Store, conductor: ConductorClient) -> Application:
    """The application behind the middleware that the paste file lists; raises Unavailable without that file."""
    return _load(wiring.Services(conf=conf, store=store, conductor=conductor, enforcer=policies.Enforcer(conf)))


def load_from_environment() -> Application:
    """The same, for a WSGI server that imports us."""
    return _load(wiring.from_environment())


def app_factory(_global: dict[str, str], **_local: str) -> Application:
    """PasteDeploy's way in."""
    return _build(wiring.current())


def _load(services: wiring.Services) -> Application:
    cors.set_defaults(
        allow_headers=["If-Match", "X-Auth-Token", "X-Openstack-Request-Id", microversions.HEADER],
        expose_headers=["ETag", "X-Openstack-Request-Id", *_VERSION_HEADERS],
        allow_methods=["GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"],
    )
    path = _paste_file(services.conf)
    try:
        with wiring.loading(services):
            application: Application = deploy.loadapp(f"config:{path}")
            return application
    except (configparser.Error, ImportError, LookupError, UnicodeError) as exc:
        raise errors.Unavailable(f"The paste file {path} cannot be used: {exc}") from exc


def _build(services: wiring.Services) -> Application:
    routed = pecan.make_app(
        root.RootController(),
        use_context_locals=False,
        request_cls=request.Request,
        response_cls=Response,
        custom_renderers={"json": JsonRenderer},
        default_renderer="json",
        force_canonical=False,
        guess_content_type_from_ext=False,
        debug=False,
    )
    return answers.Answers(sizelimit.RequestBodySizeLimiter(routed, services.conf), services)


def _paste_file(conf: cfg.ConfigOpts) -> str:
    """Where the operator says, in the configuration's places, else the one that is installed with us."""
    name = conf.api.api_paste_config
    installed = (Path(__file__).resolve().parents[2] / "etc/cyborg" / name, Path(sys.prefix) / "etc/cyborg" / name)
    found = conf.find_file(name) or next((path for path in installed if path.is_file()), None)
    if found is None:
        raise errors.Unavailable(f"The paste file {name!r} is not found; set [api] api_paste_config to its path.")
    return str(Path(found).resolve())
