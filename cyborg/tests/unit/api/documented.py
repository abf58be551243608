# SPDX-License-Identifier: Apache-2.0
"""Around the application under test: every answer must be one that the OpenAPI document shows.

Who adds a member to an answer adds it to the schema that the route names; who answers with another status says so in
the method's docstring.
"""

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jsonschema
import webob
import webob.exc
from jsonschema import exceptions

from cyborg.api import app, microversions, openapi, routing
from cyborg.api import errors as api_errors
from cyborg.api.controllers import root
from cyborg.api.request import Request
from cyborg.api.schemas import FORMATS
from cyborg.domain import errors

ROOT = root.RootController()
#: Faults are for the tests that cause them.
FAULT = 500


class Documented:
    """The same application; raises AssertionError in place of an answer that is not in the document."""

    def __init__(self, application: app.Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = Request(dict(environ))  # the application may change it
        answer = webob.Request(environ).get_response(self._application)
        if asked.method != "HEAD" and microversions.HEADER in answer.headers and answer.status_int < FAULT:
            _check(asked, answer)
        result: Iterable[bytes] = answer(environ, start_response)
        return result


def _check(asked: Request, answer: webob.Response) -> None:
    try:
        route, method, _ = ROOT.find(asked)
    except (errors.NotFound, api_errors.MethodNotAllowed, UnicodeDecodeError, webob.exc.HTTPBadRequest):
        return
    told = f"{asked.method} {asked.path_info} answers {answer.status_int} {answer.text[:300]}"
    shown = _shown(route, method, asked.version)
    assert answer.status_int in shown, f"{told}, which is not in the docstring of {method.__qualname__}"
    validator = shown[answer.status_int]
    if validator is None:
        assert not answer.body, f"{told}, which the route does not name"
        return
    wrong = exceptions.best_match(validator.iter_errors(json.loads(answer.text)))
    if wrong is not None:
        raise AssertionError(f"{told}, which is not as its schema says: {wrong.message} at {wrong.json_path}")


@functools.cache
def _shown(
    route: routing.Route, method: routing.Bound, version: microversions.Version
) -> Mapping[int, jsonschema.Draft202012Validator | None]:
    """By status, what looks at the body of an answer; None where there is none."""
    contents = {int(status): one.get("content") for status, one in openapi.responses(route, method, version).items()}
    # Not `jsonschema.validate`, which looks at the schema, too, each time: it is valid, as tests of the document show.
    return {
        status: content and jsonschema.Draft202012Validator(content[openapi.JSON]["schema"], format_checker=FORMATS)
        for status, content in contents.items()
    }
