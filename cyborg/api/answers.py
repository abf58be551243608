# SPDX-License-Identifier: Apache-2.0
"""The outermost layer of the application: every answer leaves through here, in one form.

Whatever happens inside, the caller gets JSON, the version headers and, for errors, the body that clients
parse. HEAD is GET without the body.
"""

import json
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

import webob
import webob.exc
from oslo_log import log

from cyborg.api import errors as api_errors
from cyborg.api import microversions
from cyborg.api.request import SERVICES, Request
from cyborg.api.wiring import Services
from cyborg.domain import errors

LOG = log.getLogger(__name__)
JSON = "application/json"
REQUEST_ID = "openstack.request_id"
#: Links are made of it.
_HOST = re.compile(r"[A-Za-z0-9._~%:\[\]-]*")


class Answers:
    """WSGI middleware around the routed application."""

    def __init__(self, application: Callable[..., Any], services: Services) -> None:
        self._application = application
        self._services = services

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[SERVICES] = self._services
        inner = environ | {"REQUEST_METHOD": "GET"} if environ["REQUEST_METHOD"] == "HEAD" else environ
        request = Request(inner)
        try:
            response = self._serve(request)
        except Exception as exc:  # noqa: BLE001 - the edge of the API: whatever it was, the caller gets an answer
            response = _failure(request, exc)
        _add_headers(request, response)
        result: Iterable[bytes] = response(environ, start_response)
        return result

    def _serve(self, request: Request) -> webob.Response:
        _check_readable(request)
        if request.segments():  # the root tells which versions there are, so it has none itself
            _ = request.version
        if not _takes_json(request.accept):
            raise errors.NotAcceptable(f"Only {JSON} can be sent; the request accepts {request.accept}.")
        request.accept = JSON  # pecan would decide once more
        response = request.get_response(self._application, catch_exc_info=False)
        if response.status_int == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            limit = self._services.conf.oslo_middleware.max_request_body_size
            raise api_errors.TooLarge(f"The body is larger than the {limit} bytes that are accepted.")
        if response.status_int >= HTTPStatus.BAD_REQUEST:
            _rewrite(response)
        return response


def _takes_json(accept: Any) -> bool:
    """Whether ``Accept`` lets JSON be sent; one that names nothing leaves it to us.

    webob takes "application/json; charset=utf-8" for another kind than the one without parameters; what JSON there is,
    is UTF-8.
    """
    if not accept.parsed or accept.acceptable_offers([JSON]):
        return True
    return any(
        parameters and quality > 0 and kind.partition(";")[0].strip().lower() == JSON
        for kind, quality, parameters, _ in accept.parsed
    )


def _check_readable(request: Request) -> None:
    """Paths and queries are UTF-8; webob decodes them when first read, far from where it could be answered."""
    raw = unquote_to_bytes(request.environ.get("QUERY_STRING", ""))
    try:
        text = request.path_info + raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise errors.InvalidRequest("The URL is not UTF-8.") from exc
    if "\0" in text:
        raise errors.InvalidRequest("The URL must not contain NUL characters.")
    if not _HOST.fullmatch(request.host):
        raise errors.InvalidRequest("The Host header names no host.")


def _failure(request: Request, error: Exception) -> webob.Response:
    request_id = str(request.environ.get(REQUEST_ID, "this request"))
    if isinstance(error, webob.exc.HTTPException):
        response = webob.Response(status=error.status_int)
        response.text = str(error.detail or error.explanation)
        _rewrite(response)
        return response
    if api_errors.is_unexpected(error):
        LOG.error("%s %s failed (%s)", request.method, request.path_info, request_id, exc_info=error)
    response = webob.Response(
        status=int(api_errors.status_of(error)), body=api_errors.body_of(error, request_id), content_type=JSON
    )
    if isinstance(error, api_errors.MethodNotAllowed):
        response.allow = sorted(error.allowed | ({"HEAD"} if "GET" in error.allowed else frozenset()))
    return response


def _rewrite(response: webob.Response) -> None:
    """An error that webob or a middleware made: the same words, in our form."""
    words = response.text.strip() if response.content_type == "text/plain" else response.status
    response.body = json.dumps({"error_message": words}).encode()
    response.content_type = JSON


def _add_headers(request: Request, response: webob.Response) -> None:
    response.headers[microversions.MIN_HEADER] = str(microversions.MIN)
    response.headers[microversions.MAX_HEADER] = str(microversions.MAX)
    response.vary = [microversions.HEADER]
    try:
        version = request.version
    except errors.NotAcceptable:
        return
    response.headers[microversions.HEADER] = f"{microversions.SERVICE} {version}"
