# SPDX-License-Identifier: Apache-2.0
"""The accelerator API over one kept-alive connection, in the words of its clients.

    client = Client("http://127.0.0.1:6666")
    request = client.create("any-gpu")[0]
    client.bind(request, host="gpu-1", provider=provider, instance=instance)
    client.call("GET", "/v2/devices").expect(200).json["devices"]

It is an administrator, and passes the calls on for a service, unless it is made otherwise. The benchmark uses it too:
nothing here but the standard library.
"""

import contextlib
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

TIMEOUT = 60.0
#: Servers close connections that are idle for long; one that was used just now is still open.
LONGEST_IDLE = 3.0
#: Who an administrator is, and a service, where no Keystone says so.
ADMIN, SERVICE = "admin", "nova"
NOTHING = object()


class Unexpected(Exception):
    """The service answered, and with something else than what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    question: str
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def words(self) -> str:
        """What an error says to a person: the innermost text of its body."""
        text = str(self.json["error_message"])
        try:
            return str(json.loads(text)["faultstring"])
        except (ValueError, TypeError, KeyError):
            return text

    def expect(self, *statuses: int) -> Self:
        """This answer; raises Unexpected when it has another status."""
        if self.status not in statuses:
            raise Unexpected(f"{self.question}: {self.status} {self.text[:500]}")
        return self


class Client:
    """For one thread at a time. Raises OSError or http.client.HTTPException when there is no answer."""

    def __init__(self, url: str, *, token: str = ADMIN, service_token: str | None = SERVICE) -> None:
        parts = urlsplit(url)
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT)
        self._prefix = parts.path.rstrip("/").removesuffix("/v2")
        self._headers = {"X-Auth-Token": token, "Accept": "application/json"}
        if service_token is not None:
            self._headers["X-Service-Token"] = service_token
        self._used_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = NOTHING,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """``body`` is sent as JSON, ``content`` as it is; a header with the value "" is left out."""
        sent = dict(self._headers)
        if body is not NOTHING:
            content = json.dumps(body).encode()
        if content is not None:
            sent["Content-Type"] = "application/json"
        sent = {name: value for name, value in (sent | dict(headers or {})).items() if value}
        if time.monotonic() - self._used_at > LONGEST_IDLE:
            self._connection.close()
        try:
            # A server may refuse before it has read all; its answer is there all the same.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._connection.request(method, self._prefix + path, body=content, headers=sent)
            response = self._connection.getresponse()
            text = response.read().decode()
        except BaseException:
            self._connection.close()
            raise
        self._used_at = time.monotonic()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(question=f"{method} {path}", status=response.status, headers=names, text=text)

    # What Nova does.

    def create(self, profile: str) -> list[str]:
        answer = self.call("POST", "/v2/accelerator_requests", {"device_profile_name": profile}).expect(201)
        return [one["uuid"] for one in answer.json["arqs"]]

    def bind(self, request: str, *, host: str, provider: str, instance: str) -> Answer:
        """Whatever the answer is: a bind may well be refused."""
        wanted = {"hostname": host, "device_rp_uuid": provider, "instance_uuid": instance}
        patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in wanted.items()]
        return self.call("PATCH", "/v2/accelerator_requests", {request: patch})

    def show(self, request: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/v2/accelerator_requests/{request}").expect(200).json)

    def of_instance(self, instance: str) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/v2/accelerator_requests?instance={instance}").expect(200).json["arqs"])

    def delete_for_instance(self, instance: str) -> None:
        self.call("DELETE", f"/v2/accelerator_requests?instance={instance}").expect(204)

    def list(self, collection: str) -> list[dict[str, Any]]:
        member = "arqs" if collection == "accelerator_requests" else collection
        return list(self.call("GET", f"/v2/{collection}").expect(200).json[member])

    # What an operator does.

    def create_profile(self, name: str, *traits: str, amount: int = 1) -> None:
        group = {"resources:CUSTOM_ACCELERATOR": str(amount)} | {f"trait:{trait}": "required" for trait in traits}
        self.call("POST", "/v2/device_profiles", [{"name": name, "groups": [group]}]).expect(201)
