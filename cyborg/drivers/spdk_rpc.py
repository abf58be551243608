# SPDX-License-Identifier: Apache-2.0
"""A client for the JSON-RPC of an SPDK target on a unix socket.

    with spdk_rpc.Client("/var/tmp/spdk.sock", timeout=5) as client:
        client.call("bdev_get_bdevs")           the result
        client.call("nvmf_get_subsystems")      on the same connection

Documents come back to back, without length or newline, in pieces of any size. A call that fails, for whatever
reason, costs only itself: the next one gets a new connection if need be. One that the target leaves half-answered is
asked once more. A target that is silent for the time limit is not asked again: each further call fails at once.
"""

import codecs
import json
import socket
import time
from types import TracebackType
from typing import Any, Self

CHUNK = 1 << 16
#: More than any answer of a target; what goes on beyond it is no answer.
MOST = 1 << 26
METHOD_NOT_FOUND = -32601


class NotListening(Exception):
    """Nobody answers at the socket."""


class Failed(Exception):
    """The call failed; ``code`` is the target's error number, None when there was no answer."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class _HungUp(Failed):
    """The connection was closed in the middle."""


class Client:
    """Raises NotListening when it is entered and nobody listens. ``timeout`` is in seconds, for each call."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._connection: _Connection | None = None
        self._silent = False
        self._calls = 0

    def __enter__(self) -> Self:
        self._connection = self._connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def call(self, method: str, **params: Any) -> Any:
        """The result; raises Failed."""
        if self._silent:
            raise Failed(f"{method}: the target did not answer an earlier call")
        try:
            return self._ask(method, params)
        except _HungUp:
            return self._ask(method, params)

    def _ask(self, method: str, params: dict[str, Any]) -> Any:
        try:
            self._connection = self._connection or self._connect()
            self._calls += 1
            return self._connection.ask(self._calls, method, params)
        except TimeoutError as exc:
            self._silent = True
            self._close()
            raise Failed(f"{method}: no answer within {self._timeout:g} seconds") from exc
        except NotListening as exc:
            raise Failed(f"{method}: {exc}") from exc
        except (OSError, EOFError) as exc:
            self._close()
            raise _HungUp(f"{method}: the target hung up: {exc}") from exc
        except (ValueError, RecursionError) as exc:
            self._close()
            raise Failed(f"{method}: the answer is not understood: {exc}") from exc

    def _connect(self) -> "_Connection":
        try:
            return _Connection(self._path, self._timeout)
        except OSError as exc:
            raise NotListening(f"{self._path}: {exc.strerror or exc}") from exc

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class _Connection:
    def __init__(self, path: str, timeout: float) -> None:
        self._timeout = timeout
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""

    def close(self) -> None:
        self._socket.close()

    def ask(self, number: int, method: str, params: dict[str, Any]) -> Any:
        request = {"jsonrpc": "2.0", "id": number, "method": method} | ({"params": params} if params else {})
        deadline = time.monotonic() + self._timeout
        self._socket.settimeout(self._timeout)
        self._socket.sendall(json.dumps(request).encode())
        answer = self._document(deadline)
        while answer.get("id") != number:
            answer = self._document(deadline)
        if "error" in answer:
            error = answer["error"] if isinstance(answer["error"], dict) else {}
            code = error.get("code")
            raise Failed(f"{method}: {error.get('message')}", code if isinstance(code, int) else None)
        return answer.get("result")

    def _document(self, deadline: float) -> dict[str, Any]:
        """The next one; what comes after it is kept."""
        found = self._parse()
        while found is None:
            data = self._receive(deadline)
            self._text += self._decoder.decode(data)
            if len(self._text) > MOST:
                raise ValueError(f"longer than {MOST} characters")
            found = self._parse() if b"}" in data or not self._text.startswith("{") else None
        return found

    def _receive(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        data = self._socket.recv(CHUNK)
        if not data:
            raise EOFError("in the middle of an answer")
        return data

    def _parse(self) -> dict[str, Any] | None:
        """None while the document is not complete."""
        text = self._text.lstrip()
        if text[:1] not in ("", "{"):
            raise ValueError(f"it begins with {text[:1]!r}")
        try:
            found, end = json.JSONDecoder().raw_decode(text)
        except json.JSONDecodeError:
            return None
        self._text = text[end:]
        return dict(found)
