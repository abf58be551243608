# SPDX-License-Identifier: Apache-2.0
"""JSON from a file that nobody vouches for: strict, and of bounded depth.

Members that appear twice, and numbers that JSON does not have, are refused: two readers would understand two things.
"""

import json
import re
from typing import Any, NoReturn

from cyborg.drivers.images.verdict import Refused

DEEPEST = 16
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_IDENTITY = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def parse(data: bytes) -> Any:
    """The value; refused as ``metadata_json`` when it is no JSON text in UTF-8."""
    try:
        text = data.decode("utf-8")
        _check_depth(text)
        return json.loads(text, object_pairs_hook=_members, parse_constant=_no_number)
    except (ValueError, RecursionError) as exc:
        raise Refused("metadata_json", f"Its metadata is no JSON text in UTF-8: {exc}.") from exc


def member(of: Any, name: str, kind: type | tuple[type, ...], *, required: bool = False) -> Any:
    """The member of an object; None when it has none, unless ``required``. Refused when it is of another kind."""
    if not isinstance(of, dict):
        raise Refused("metadata_json", f"Its metadata has {_shown(of)} where an object with {name!r} is wanted.")
    value = of.get(name)
    if (value is None and (name in of or required)) or (value is not None and not _is_a(value, kind)):
        raise Refused("metadata_json", f"Member {name!r} of its metadata cannot be {_shown(value)}.")
    return value


def identity(of: Any, name: str, reason: str) -> str:
    """A UUID as 32 lower-case hex digits; refused for ``reason`` when there is none, or it is all zero."""
    text = of.get(name) if isinstance(of, dict) else None
    digits = text.lower() if isinstance(text, str) else ""
    if not _IDENTITY.fullmatch(digits) or not digits.strip("0-"):
        raise Refused(reason, f"Member {name!r} of its metadata is {_shown(text)}, and no UUID other than zero.")
    return digits.replace("-", "")


def _is_a(value: Any, kind: type | tuple[type, ...]) -> bool:
    """Truth values are no numbers here."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in re.finditer(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member appears twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _shown(value: Any) -> str:
    """As JSON, and not more of it than a line."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."  # noqa: PLR2004 - a matter of taste
