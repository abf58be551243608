# SPDX-License-Identifier: Apache-2.0
"""Which method of a controller serves a request, and what it takes and answers: each says so itself.

    class AttributesController(routing.Resource):
        @routing.route("POST", body=schema.CREATE, answer=schema.ONE)
        def post(self, request, response):
            \"\"\"201; 400 body; 403; 404 deployable; 409 the key is taken.\"\"\"
            body = request.read_body()

pecan's own REST dispatch guesses from names and the number of arguments, and every public attribute becomes a
path; here a path is served when, and only when, it is written down. Schemas are named here and nowhere else: requests
are checked against them, and the OpenAPI document shows them, with the statuses of the docstring.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pecan

from cyborg.api import errors as api_errors
from cyborg.api.microversions import MIN, Version
from cyborg.api.schemas import common

Method = TypeVar("Method", bound=Callable[..., Any])
Bound = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What is taken and answered; None is no body."""

    query: common.Schema
    body: common.Schema | None
    answer: common.Schema | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """``verb`` on ``pattern``, from version ``since`` on."""

    verb: str
    pattern: tuple[str, ...]
    form: Form
    since: Version


def route(
    verb: str,
    path: str = "",
    *,
    query: common.Schema = common.NOTHING,
    body: common.Schema | None = None,
    answer: common.Schema | None = None,
    since: Version = MIN,
) -> Callable[[Method], Method]:
    """Serve ``verb`` on ``path`` below the collection; ``{name}`` stands for one segment, passed as argument."""
    form = Form(query=query, body=body, answer=answer)
    made = Route(verb=verb, pattern=tuple(filter(None, path.split("/"))), form=form, since=since)

    def mark(method: Method) -> Method:
        exposed: Method = pecan.expose("json")(method)
        exposed.routed = [*getattr(method, "routed", ()), made]  # type: ignore[attr-defined]
        return exposed

    return mark


@functools.cache
def form_at(one: Route, version: Version) -> Form:
    """What ``one`` takes and answers in ``version``."""
    form = one.form
    return Form(
        query=common.at(form.query, version),
        body=_at(form.body, version),
        answer=_at(form.answer, version),
    )


def _at(schema: common.Schema | None, version: Version) -> common.Schema | None:
    return None if schema is None or not common.exists(schema, version) else common.at(schema, version)


class Resource:
    """A collection with its items."""

    #: Whether nobody needs a token for it; the paste file lists the same paths.
    public = False

    def __init__(self) -> None:
        methods = [getattr(self, name) for name in dir(type(self)) if not name.startswith("__")]
        self.routes: list[tuple[Route, Bound]] = [
            (one, method) for method in methods for one in getattr(method, "routed", ())
        ]

    def find(self, verb: str, segments: Sequence[str], version: Version) -> tuple[Route, Bound, list[str]]:
        """(route, its method, the method's arguments); raises UnknownPath or MethodNotAllowed."""
        allowed: set[str] = set()
        later: set[Version] = set()
        for one, method in self.routes:
            arguments = _match(one.pattern, segments)
            if arguments is None:
                continue
            if one.since > version:
                later.add(one.since)
            elif one.verb == verb:
                return one, method, arguments
            else:
                allowed.add(one.verb)
        if later and not allowed:
            raise api_errors.UnknownPath(f"This is part of the API from version {min(later)} on, not in {version}.")
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
