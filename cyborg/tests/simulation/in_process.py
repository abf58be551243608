# SPDX-License-Identifier: Apache-2.0
"""Our clients, short-circuited: what they send arrives in the same thread, without sockets and without messages."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import webob

from cyborg import context
from cyborg.cmd import embedded_placement
from cyborg.domain import errors
from cyborg.placement.client import MICROVERSION, PlacementClient
from cyborg.rpc.conductor import ConductorClient


@dataclass(frozen=True, slots=True)
class Answer:
    """As much of a response of ``requests`` as a Placement client looks at."""

    status_code: int
    content: bytes
    headers: Mapping[str, str]
    reason: str
    url: str

    def json(self) -> Any:
        return json.loads(self.content)


class Session:
    """In the place of a keystoneauth adapter."""

    def __init__(self, application: embedded_placement.Application) -> None:
        self._application = application

    def request(self, path: str, method: str, *, json: Any = None, **_network: Any) -> Answer:
        request = webob.Request.blank(path, method=method)
        request.headers["X-Auth-Token"] = embedded_placement.TOKEN
        request.headers["OpenStack-API-Version"] = f"placement {MICROVERSION}"
        request.headers["Accept"] = "application/json"
        if json is not None:
            request.content_type = "application/json"
            request.json = json
        got = request.get_response(self._application)
        return Answer(got.status_code, got.body, got.headers, got.status, path)


def placement(application: embedded_placement.Application) -> PlacementClient:
    session: Any = Session(application)
    return PlacementClient(session)


class _Direct:
    """In the place of an RPC client: the method of the endpoint that has it, with the same envelope."""

    def __init__(self, endpoints: Sequence[object]) -> None:
        self._endpoints = endpoints

    def call(self, ctxt: context.RequestContext, method: str, **arguments: Any) -> Any:
        endpoint = next(one for one in self._endpoints if hasattr(one, method))
        answer = getattr(endpoint, method)(ctxt, **json.loads(json.dumps(arguments)))
        if "error" in answer:
            raise errors.by_code()[answer["error"]["code"]](answer["error"]["message"])
        return json.loads(json.dumps(answer["result"]))


class DirectConductor(ConductorClient):
    def __init__(self, endpoints: Sequence[object]) -> None:
        self._client: Any = _Direct(endpoints)
