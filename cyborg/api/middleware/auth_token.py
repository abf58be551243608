# SPDX-License-Identifier: Apache-2.0
"""Who is calling: Keystone's word for it, or in development the caller's own."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import webob
import webob.exc
from keystonemiddleware import auth_token
from oslo_config import cfg

from cyborg.api import errors as api_errors
from cyborg.api import wiring
from cyborg.conf import api as options
from cyborg.domain import errors

PUBLIC_ROUTES = "acl_public_routes"
DEFAULT_PUBLIC = "/, /v2, /v2/openapi.json"
ALIAS = "/accelerator"
SERVICE_STATUS = "X-Service-Identity-Status"
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class AuthTokenMiddleware:
    """Lets public routes through and has the strategy of ``[api] auth_strategy`` look at the rest."""

    def __init__(self, application: Application, conf: cfg.ConfigOpts, public: Iterable[str]) -> None:
        self._application = application
        self._public = {path.rstrip("/") for path in public}
        self._checked = (
            NoAuth(application, conf) if conf.api.auth_strategy == "noauth" else _keystone(application, conf)
        )

    @classmethod
    def factory(cls, _global: dict[str, str], **local: str) -> Callable[[Application], "AuthTokenMiddleware"]:
        """PasteDeploy's way in; ``acl_public_routes`` lists the paths that need no token."""
        conf = wiring.current().conf
        public = [path.strip() for path in local.get(PUBLIC_ROUTES, DEFAULT_PUBLIC).split(",")]
        return lambda application: cls(application, conf, public)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._is_public(environ.get("PATH_INFO", "")):
            return self._application(_anonymous(environ), start_response)
        return self._checked(environ, start_response)

    def _is_public(self, path: str) -> bool:
        path = path.rstrip("/")
        aliased = path == ALIAS or path.startswith(f"{ALIAS}/")
        return path in self._public or (aliased and path[len(ALIAS) :] in self._public)


def _keystone(application: Application, conf: cfg.ConfigOpts) -> Application:
    for group, its_options in auth_token.list_opts():
        conf.register_opts(its_options, group=group)
    # A service token must carry a service role, or anybody's token would do for binding.
    conf.set_default("service_token_roles_required", True, group="keystone_authtoken")  # noqa: FBT003
    return _Keystone(application, conf)


class _Keystone(auth_token.AuthProtocol):
    """That one, with our form for its one error that has none of its own, and service tokens of services only."""

    def __init__(self, application: Application, conf: cfg.ConfigOpts) -> None:
        super().__init__(application, {"oslo_config_config": conf})
        self._roles_of_services = frozenset(conf.keystone_authtoken.service_token_roles)

    def process_request(self, request: webob.Request) -> webob.Response | None:
        try:
            refused: webob.Response | None = super().process_request(request)
        except webob.exc.HTTPServiceUnavailable:
            away = "Keystone does not answer, so the token cannot be checked; try again shortly."
            return _failure(errors.Unavailable(away))
        # Where an operator set service_token_roles_required to false, any valid token would pass for a service's.
        roles = request.headers.get("X-Service-Roles", "").split(",")
        if SERVICE_STATUS in request.headers and self._roles_of_services.isdisjoint(roles):
            request.headers[SERVICE_STATUS] = "Invalid"
        return refused


#: What the checks below set, and so what a caller must not.
IDENTITY = (
    "HTTP_OPENSTACK_SYSTEM_SCOPE",
    "HTTP_X_DOMAIN",
    "HTTP_X_IDENTITY",
    "HTTP_X_IS_ADMIN",
    "HTTP_X_PROJECT",
    "HTTP_X_ROLE",
    "HTTP_X_SERVICE_",
    "HTTP_X_TENANT",
    "HTTP_X_USER",
)


class NoAuth:
    """Development only: the token is ``user[:project[:role,role]]``.

    ``admin`` alone is an administrator of project ``admin``; anybody else is a member and reader. Any service token
    is a valid one. Who is on another machine is refused unless the operator says otherwise: cyborg-api would not listen
    there, and other servers do not ask us where they may.
    """

    def __init__(self, application: Application, conf: cfg.ConfigOpts) -> None:
        self._application = application
        self._conf = conf

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        remote = environ.get("REMOTE_ADDR") or "127.0.0.1"  # none by way of a socket of this machine
        if options.exposes_noauth(self._conf, remote.removeprefix("::ffff:")):
            stranger = errors.Forbidden(
                f"[api] auth_strategy = noauth is for callers on the same machine, not {remote}."
            )
            strange: Iterable[bytes] = _failure(stranger)(environ, start_response)
            return strange
        token = environ.get("HTTP_X_AUTH_TOKEN", "").strip()
        service_token = environ.get("HTTP_X_SERVICE_TOKEN", "").strip()
        if not token:
            refused: Iterable[bytes] = _unauthorized()(environ, start_response)
            return refused
        known = _anonymous(environ) | identity(token)
        if service_token:
            known |= {"HTTP_X_SERVICE_IDENTITY_STATUS": "Confirmed", "HTTP_X_SERVICE_ROLES": "service"}
        return self._application(known, start_response)


def _anonymous(environ: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the caller says of itself."""
    return {name: value for name, value in environ.items() if not name.startswith(IDENTITY)}


def identity(token: str) -> dict[str, str]:
    """The headers that a validated token would have given."""
    user, _, rest = token.partition(":")
    project, _, roles = rest.partition(":")
    default = "admin,member,reader" if user == "admin" else "member,reader"
    return {
        "HTTP_X_IDENTITY_STATUS": "Confirmed",
        "HTTP_X_USER_ID": user,
        "HTTP_X_USER_NAME": user,
        "HTTP_X_PROJECT_ID": project or user,
        "HTTP_X_PROJECT_NAME": project or user,
        "HTTP_X_ROLES": roles or default,
    }


def _failure(error: errors.CyborgError) -> webob.Response:
    status, body = api_errors.status_of(error), api_errors.body_of(error, "")
    return webob.Response(status=int(status), body=body, content_type="application/json")


def _unauthorized() -> webob.Response:
    """The same body that Keystone's middleware sends."""
    message = "The request you have made requires authentication."
    body = {"error": {"code": 401, "title": "Unauthorized", "message": message}}
    response = webob.Response(status=401, body=json.dumps(body).encode(), content_type="application/json")
    response.headers["WWW-Authenticate"] = "Keystone uri='none'"
    return response
