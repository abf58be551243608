# SPDX-License-Identifier: Apache-2.0
"""Calls of the accelerator API; a refusal is raised as openstacksdk raises it, with the service's words."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from openstack import exceptions

#: The versions in which what we call came, or last changed.
PROFILE_UPDATE = "2.8"
OPERATIONS = "2.10"

Found = Mapping[str, Any]


def listed(client: Any, collection: str, version: str, query: Mapping[str, Any]) -> Iterator[Found]:
    """Every item, page after page; arguments that are None are left out."""
    asked = {name: value for name, value in query.items() if value is not None}
    while True:
        page = _json(client.get(f"/{collection}", params=asked, microversion=version))
        yield from page[collection]
        following = [link["href"] for link in page.get(f"{collection}_links", ()) if link["rel"] == "next"]
        if not following:
            return
        asked = dict(parse_qsl(urlsplit(following[0]).query))


def shown(client: Any, path: str, version: str) -> Found:
    return _json(client.get(f"/{path}", microversion=version))


def told(client: Any, path: str, version: str, body: Mapping[str, Any] | None = None) -> Found | None:
    """Ask for an action; members of ``body`` that are None are left out. None when nothing is answered."""
    sent = {} if body is None else {"json": {name: value for name, value in body.items() if value is not None}}
    answer = client.post(f"/{path}", microversion=version, **sent)
    exceptions.raise_from_response(answer)
    found: Found | None = answer.json() if answer.content else None
    return found


def changed(client: Any, path: str, version: str, change: Any, headers: Mapping[str, str]) -> Found:
    answer = client.patch(f"/{path}", json=change, microversion=version, headers=dict(headers))
    return _json(answer)


def _json(answer: Any) -> Found:
    exceptions.raise_from_response(answer)
    found: Found = answer.json()
    return found
