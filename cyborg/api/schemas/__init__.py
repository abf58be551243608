# SPDX-License-Identifier: Apache-2.0
"""What bodies and queries may look like: JSON Schema (2020-12), one module per resource.

`check` is the only validator; documents about the API are made from the same schemas.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
from jsonschema import exceptions, validators

from cyborg.api.schemas import common
from cyborg.domain import errors

FORMATS = jsonschema.FormatChecker(formats=())
LONGEST_MESSAGE = 300


@FORMATS.checks("uuid")
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or common.is_uuid(value)


def _matches(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    """In JSON Schema "$" is the end of the text; in Python it lets a last newline through."""
    if isinstance(value, str) and not re.search(re.sub(r"\$\Z", r"\\Z", pattern), value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


Validator = validators.extend(jsonschema.Draft202012Validator, {"pattern": _matches})


def check(value: Any, schema: Mapping[str, Any], where: str) -> None:
    """Return when ``value`` fits; else raises InvalidRequest that names the member and what is wrong with it."""
    validator = Validator(schema, format_checker=FORMATS)
    error = exceptions.best_match(validator.iter_errors(value))
    if error is None:
        return
    place = "".join(f"[{part!r}]" for part in error.absolute_path)
    message = error.message
    if error.validator == "format":
        message = f"{error.instance!r} is not a {error.validator_value}"
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[: LONGEST_MESSAGE // 2]} ... {message[-LONGEST_MESSAGE // 2 :]}"
    raise errors.InvalidRequest(f"Invalid {where}{place}: {message}.")
