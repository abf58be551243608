# SPDX-License-Identifier: Apache-2.0
"""Frozen values to JSON types and back: the only way a value crosses a process.

Rules: a dataclass becomes an object, a tuple a list, a set a sorted list, an enum its value. Unknown
members are ignored on the way in, so a newer peer may send more; missing ones take their default.
"""

import dataclasses
import enum
import functools
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from cyborg.domain import errors

T = TypeVar("T")


def to_wire(value: Any) -> Any:
    """JSON types for ``value``; raises TypeError for what has no wire form."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, enum.Enum) else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_wire(getattr(value, name)) for name in _hints(type(value))}
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(to_wire(item) for item in value)
    if isinstance(value, tuple | list):
        return [to_wire(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no wire form")


def from_wire(cls: type[T], data: Any) -> T:
    """The ``cls`` that ``data`` (as made by `to_wire`) describes; raises InvalidRequest when it does not."""
    try:
        return cast(T, _read(cls, data))
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as exc:
        raise errors.InvalidRequest(f"not a {cls.__name__}: {exc}") from exc


def digest(value: Any) -> str:
    """SHA-256, in hex, of the canonical wire form; equal values have equal digests."""
    text = json.dumps(to_wire(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _read(kind: Any, data: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is None:
        return _read_plain(kind, data)
    arguments = typing.get_args(kind)
    if origin is typing.Union or origin is types.UnionType:
        return _read_optional(arguments, data)
    if origin in (tuple, frozenset):
        if not isinstance(data, list):
            raise TypeError(f"expected a list, got {type(data).__name__}")
        return origin(_read(arguments[0], item) for item in data)
    if not isinstance(data, dict):
        raise TypeError(f"expected an object, got {type(data).__name__}")
    return {key: _read(arguments[1], item) for key, item in data.items()}


def _read_optional(arguments: tuple[Any, ...], data: Any) -> Any:
    if data is None and type(None) in arguments:
        return None
    (kind,) = (argument for argument in arguments if argument is not type(None))
    return _read(kind, data)


def _read_plain(kind: Any, data: Any) -> Any:
    if kind is Any:
        return data
    if dataclasses.is_dataclass(kind):
        if not isinstance(data, dict):
            raise TypeError(f"expected an object, got {type(data).__name__}")
        return cast(type, kind)(
            **{name: _read(hint, data[name]) for name, hint in _hints(cast(type, kind)).items() if name in data}
        )
    if issubclass(kind, enum.Enum):
        return kind(data)
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise TypeError(f"expected {kind.__name__}, got {data!r}")
    return data
