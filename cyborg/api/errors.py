# SPDX-License-Identifier: Apache-2.0
"""The one map from an error's class to a status, and the one form of an error's body.

Clients parse the body: JSON whose ``error_message`` is text, usually JSON again:

    {"error_message": "{\\"faultcode\\": \\"Client\\", \\"faultstring\\": \\"...\\", \\"debuginfo\\": null}"}

What the router itself refuses (unknown path, wrong method, wrong version) carries plain text there. Only
messages of our own errors are shown; anything else is logged with its trace and answered with a fixed text.
"""

import json
from http import HTTPStatus

from cyborg.domain import errors


class UnsupportedBody(errors.CyborgError):
    """The body is in a format other than JSON."""

    code = "unsupported_body"


class TooLarge(errors.CyborgError):
    """The body is larger than the service reads."""

    code = "too_large"


class Refused(errors.CyborgError):
    """Input that is wrong, in a way for which clients of this API expect a server's fault; nothing is stored."""

    code = "refused"


class UnknownPath(errors.NotFound):
    """No resource has that path."""

    code = "unknown_path"


class MethodNotAllowed(errors.CyborgError):
    """The path exists, and ``allowed`` are what may be done with it."""

    code = "method_not_allowed"

    def __init__(self, message: str, allowed: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.allowed = allowed


#: The most exact class that is listed here decides.
STATUSES: dict[type[BaseException], HTTPStatus] = {
    errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedBody: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.NotResolved: HTTPStatus.LOCKED,
    Refused: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

#: Said by the router, in plain text.
PLAIN = (UnknownPath, MethodNotAllowed, errors.NotAcceptable)

UNEXPECTED = "The service failed to handle the request. The administrator finds the reason in its log under {}."


def status_of(error: BaseException) -> HTTPStatus:
    known = (STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES)
    return next(known, HTTPStatus.INTERNAL_SERVER_ERROR)


def is_unexpected(error: BaseException) -> bool:
    """Whether this error was never meant for a caller's eyes."""
    return not any(cls in STATUSES for cls in type(error).__mro__)


def body_of(error: BaseException, request_id: str) -> bytes:
    """The JSON body that tells the caller about ``error``."""
    if isinstance(error, PLAIN):
        text = error.message
    elif isinstance(error, errors.CyborgError) and not is_unexpected(error):
        text = _fault("Client" if status_of(error) < HTTPStatus.INTERNAL_SERVER_ERROR else "Server", error.message)
    else:
        text = _fault("Server", UNEXPECTED.format(request_id))
    return json.dumps({"error_message": text}).encode()


def _fault(code: str, message: str) -> str:
    return json.dumps({"faultcode": code, "faultstring": message, "debuginfo": None})
