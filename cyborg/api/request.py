# SPDX-License-Identifier: Apache-2.0
"""One request, as controllers see it: who asks, for what, in which version, and where links lead."""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pecan
import webob.exc

from cyborg import context
from cyborg.api import errors as api_errors
from cyborg.api import microversions, routing, schemas, wiring
from cyborg.domain import errors
from cyborg.rpc.conductor import ConductorClient
from cyborg.store.engine import Store

SERVICES = "cyborg.services"
ALIAS = "accelerator"
MAX_DEPTH = 32
CHUNK = 65536
_ETAG = re.compile(r'"?([0-9]{1,18})"?', re.ASCII)


class Request(pecan.Request):
    """Bodies are read by `read_body`, queries by `read_query`; both are checked against the route's schemas.

    pecan would read both itself, before anybody was asked whether the caller may; `json` and `params` keep it from
    the body.
    """

    #: Set when a path has led to one.
    route: routing.Route

    @property
    def json(self) -> Any:
        raise ValueError("read by read_body()")

    @property
    def params(self) -> Any:
        return self.GET

    @property
    def services(self) -> wiring.Services:
        found: wiring.Services = self.environ[SERVICES]
        return found

    @property
    def store(self) -> Store:
        return self.services.store

    @property
    def conductor(self) -> ConductorClient:
        return self.services.conductor

    @functools.cached_property
    def caller(self) -> context.RequestContext:
        confirmed = self.headers.get("X-Service-Identity-Status") == "Confirmed"
        return context.RequestContext.from_environ(self.environ, from_service=confirmed)

    @functools.cached_property
    def version(self) -> microversions.Version:
        return microversions.parse(self.headers.get(microversions.HEADER))

    def may(self, rule: str) -> bool:
        """Whether ``rule``, about what belongs to no project, lets the caller."""
        try:
            self.allow(rule)
        except errors.Forbidden:
            return False
        return True

    def expected_generation(self, body: Mapping[str, Any] | None = None) -> int | None:
        """The generation that the caller has seen, by ``If-Match`` or in ``body``; None for any.

        Raises InvalidRequest for what is no generation, and for two that differ.
        """
        given = (body or {}).get("generation")
        text = self.headers.get("If-Match") if self.version >= microversions.DETAILS else None
        if text is None or text.strip() == "*":
            return given
        match = _ETAG.fullmatch(text.strip())
        if match is None or given not in (None, int(match[1])):
            raise errors.InvalidRequest(f"If-Match must be one generation as it was shown, not {text[:80]!r}.")
        return int(match[1])

    def segments(self) -> list[str]:
        """The parts of the path below the mount point, without the alias."""
        parts = [part for part in self.path_info.split("/") if part]
        return parts[1:] if parts[:1] == [ALIAS] else parts

    def link(self, *path: str) -> str:
        """A URL below the real mount point, as the caller can reach it."""
        return "/".join((self._base(), *path))

    def _base(self) -> str:
        aliased = self.path_info.strip("/").split("/")[0] == ALIAS
        mount = self.script_name.rstrip("/") + (f"/{ALIAS}" if aliased else "")
        public: str = (self.services.conf.api.public_endpoint or "").rstrip("/")
        if not public:
            return f"{self.host_url}{mount}"
        return public if urlsplit(public).path else f"{public}{mount}"

    def allow(self, rule: str, **owner: str | None) -> context.RequestContext:
        """The caller, when ``rule`` allows it; ``owner`` names the object's project where it has one."""
        target = owner or {"project_id": self.caller.project_id, "user_id": self.caller.user_id}
        self.services.enforcer.authorize(rule, target, self.caller)
        return self.caller

    def read_body(self) -> Any:
        """The body, checked, or what its schema says is meant without one.

        Raises InvalidRequest, UnsupportedBody or TooLarge.
        """
        schema = routing.form_at(self.route, self.version).body or {}
        if "default" in schema and not self._sent:
            return schema["default"]
        found = self.body_unchecked()
        self.check_body(found)
        return found

    def check_body(self, found: Any) -> None:
        """Return when ``found`` fits the route's schema in the version that is asked for; raises InvalidRequest."""
        schemas.check(found, routing.form_at(self.route, self.version).body or {}, "body")

    def body_unchecked(self) -> Any:
        """The body as JSON with sane text and depth, of any shape."""
        kind = self.content_type
        if not kind:
            raise errors.InvalidRequest("The request has no Content-Type; send JSON with 'application/json'.")
        if kind != "application/json" and not kind.endswith("+json"):
            raise api_errors.UnsupportedBody(f"Content-Type {kind!r} is not supported; send 'application/json'.")
        return _parse(self._sent)

    @functools.cached_property
    def _sent(self) -> bytes:
        """The bytes of the body, of which some servers know only by reading that there is none.

        Raises TooLarge or InvalidRequest.
        """
        try:
            return self._read()
        except webob.exc.HTTPRequestEntityTooLarge as exc:
            raise api_errors.TooLarge(str(exc.detail)) from exc
        except (OSError, ValueError) as exc:  # what servers raise when the client sends wrong pieces, or hangs up
            raise errors.InvalidRequest("The body cannot be read to its end; send it again.") from exc

    def _read(self) -> bytes:
        """The bytes of the body, in pieces: a limit that is passed must not be noticed in the end only.

        ValueError for one that is not as long as it was said to be.
        """
        if not self.is_body_readable:
            return b""
        source, length = self.environ["wsgi.input"], self.content_length
        if length is None:
            return b"".join(iter(lambda: source.read(CHUNK), b""))
        found = bytes(source.read(length)) if length > 0 else b""
        if len(found) != length:
            raise ValueError(f"{len(found)} of {length} bytes")
        return found

    def read_query(self) -> dict[str, Any]:
        """The query's arguments by name, checked; lists where the schema says "array", else the text."""
        schema = routing.form_at(self.route, self.version).query
        lists = {name for name, rule in schema.get("properties", {}).items() if rule.get("type") == "array"}
        found: dict[str, Any] = {}
        for name, value in parse_qsl(self.query_string, keep_blank_values=True):
            if name in lists:
                found.setdefault(name, []).append(value)
            elif name in found:
                raise errors.InvalidRequest(f"Argument {name!r} is given more than once.")
            else:
                found[name] = value
        unknown = sorted(found.keys() - schema.get("properties", {}).keys())
        if unknown:
            raise errors.InvalidRequest(f"Unknown argument: {', '.join(map(repr, unknown))}.")
        _check_text(found)
        schemas.check(found, schema, "query")
        return found


def _parse(raw: bytes) -> Any:
    try:
        found = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        reason = "nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise errors.InvalidRequest(f"The body is not JSON: {reason}.") from exc
    _check_text(found)
    return found


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _check_text(value: Any) -> None:
    """Refuse what no database stores and no schema looks at: NUL, half characters, endless nesting."""
    todo = [(value, 0)]
    while todo:
        item, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise errors.InvalidRequest(f"The body is nested more than {MAX_DEPTH} levels deep.")
        if isinstance(item, dict):
            todo.extend((part, depth + 1) for pair in item.items() for part in pair)
        elif isinstance(item, list):
            todo.extend((part, depth + 1) for part in item)
        elif isinstance(item, str) and ("\0" in item or not _is_encodable(item)):
            raise errors.InvalidRequest("Text must not contain NUL characters or unpaired surrogates.")


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
