# SPDX-License-Identifier: Apache-2.0
"""What bodies and queries may look like: JSON Schema (2020-12), one module per resource.

`check` is the only validator; documents about the API are made from the same schemas.
"""

from collections.abc import Mapping
from typing import Any

import jsonschema
from jsonschema import exceptions

from cyborg.api.schemas import common
from cyborg.domain import errors

FORMATS = jsonschema.FormatChecker(formats=())
LONGEST_MESSAGE = 300


@FORMATS.checks("uuid")
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or common.is_uuid(value)


def check(value: Any, schema: Mapping[str, Any], where: str) -> None:
    """Return when ``value`` fits; else raises InvalidRequest that names the member and what is wrong with it."""
    validator = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
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
