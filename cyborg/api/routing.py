# SPDX-License-Identifier: Apache-2.0
"""Which method of a controller serves a request: each says so itself.

    class DevicesController(routing.Resource):
        @routing.route("POST", "{uuid}/disable")
        def disable(self, request, response, uuid): ...

pecan's own REST dispatch guesses from names and the number of arguments, and every public attribute becomes a
path; here a path is served when, and only when, it is written down.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pecan

from cyborg.api import errors as api_errors

Method = TypeVar("Method", bound=Callable[..., Any])
Bound = Callable[..., Any]


def route(verb: str, path: str = "") -> Callable[[Method], Method]:
    """Serve ``verb`` on ``path`` below the collection; ``{name}`` stands for one segment, passed as argument."""

    def mark(method: Method) -> Method:
        exposed: Method = pecan.expose("json")(method)
        exposed.routed = [*getattr(method, "routed", ()), (verb, tuple(filter(None, path.split("/"))))]  # type: ignore[attr-defined]
        return exposed

    return mark


class Resource:
    """A collection with its items."""

    def __init__(self) -> None:
        methods = [getattr(self, name) for name in dir(type(self)) if not name.startswith("__")]
        self._routes = [
            (verb, pattern, method) for method in methods for verb, pattern in getattr(method, "routed", ())
        ]

    def find(self, verb: str, segments: Sequence[str]) -> tuple[Bound, list[str]]:
        """(method, its arguments); raises UnknownPath or MethodNotAllowed."""
        allowed: set[str] = set()
        for known, pattern, method in self._routes:
            arguments = _match(pattern, segments)
            if arguments is not None and known == verb:
                return method, arguments
            if arguments is not None:
                allowed.add(known)
        if not allowed:
            raise api_errors.UnknownPath("The resource could not be found.")
        listed = ", ".join(sorted(allowed))
        raise api_errors.MethodNotAllowed(
            f"The method {verb} is not allowed for this resource; use {listed}.", frozenset(allowed)
        )


def _match(pattern: Sequence[str], segments: Sequence[str]) -> list[str] | None:
    if len(pattern) != len(segments):
        return None
    arguments = []
    for part, segment in zip(pattern, segments, strict=True):
        if part.startswith("{"):
            arguments.append(segment)
        elif part != segment:
            return None
    return arguments
