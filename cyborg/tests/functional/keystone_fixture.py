# SPDX-License-Identifier: Apache-2.0
"""The real Keystone, and a real Placement that asks it, as processes on loopback ports.

    with Identity(directory) as identity:
        identity.add_endpoint("accelerator", "http://127.0.0.1:6666/v2")
        member = identity.session("alice", "demo")
        nova = identity.session("alice", "demo", service="nova")       # with a service token of Nova's

In two projects there are an administrator, members and a reader; in project ``service`` the users of the services.
Endpoints are in one region; a second one shows what a client does with another catalog.
"""

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from keystoneauth1 import identity as plugins
from keystoneauth1 import service_token, session

from cyborg.tests.functional import processes
from cyborg.tests.waiting import until

PASSWORD = "not-a-secret"
REGION = "RegionOne"
OTHER_REGION = "RegionTwo"
#: (user, project, role)
PEOPLE = [
    ("alice", "demo", "member"),
    ("rita", "demo", "reader"),
    ("bob", "other", "member"),
    *((name, "service", role) for name in ("cyborg", "nova", "placement") for role in ("admin", "service")),
]
ADMIN = ("admin", "admin")
PROGRAMS = Path(__file__).parent


class Identity:
    """``started_in`` says how many seconds it took until everything answered.

    ``placement_database`` is the URL of an empty one. Without it Placement writes to SQLite, where a writer among many
    can be refused.
    """

    def __init__(self, directory: Path, placement_database: str = "") -> None:
        self._directory = directory
        self._sessions: dict[tuple[str, str, str], Any] = {}
        self._known: dict[tuple[str, str], str] = {}
        port, self._placement_port = processes.free_port(), processes.free_port()
        self.url = f"http://127.0.0.1:{port}/v3"
        self.placement_url = f"http://127.0.0.1:{self._placement_port}"
        books = placement_database or f"sqlite:///{directory}/placement/placement.sqlite"
        before = time.monotonic()
        self._servers = [
            self._serve("identity_server.py", port, PASSWORD),
            self._serve("placement_server.py", self._placement_port, self.url, PASSWORD, books),
        ]
        try:
            self._wait(port)
            self._populate()
            self._wait(self._placement_port)
        except BaseException:
            self.close()
            raise
        self.started_in = time.monotonic() - before

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for server in self._servers:
            server.kill()

    def auth(self, user: str, project: str) -> Any:
        return plugins.V3Password(
            auth_url=self.url,
            username=user,
            password=PASSWORD,
            user_domain_id="default",
            project_name=project,
            project_domain_id="default",
        )

    def session(self, user: str, project: str, *, service: str = "") -> Any:
        """A session that keeps its token, with a service token of ``service`` where one is named."""
        key = (user, project, service)
        if key not in self._sessions:
            auth = self.auth(user, project)
            if service:
                auth = service_token.ServiceTokenAuthWrapper(user_auth=auth, service_auth=self.auth(service, "service"))
            self._sessions[key] = session.Session(auth=auth)
        return self._sessions[key]

    def add_endpoint(self, service_type: str, url: str, region: str = REGION) -> None:
        """Into the catalog, for both interfaces; each type may be added to a region once."""
        service = self._make("services", {"name": service_type, "type": service_type})
        self._make("regions", {"id": region})
        for interface in ("public", "internal"):
            body = {"service_id": service, "region_id": region, "interface": interface, "url": url}
            self._admin("POST", "/endpoints", {"endpoint": body})
        # A session keeps the catalog that came with its token.
        self._sessions.clear()

    def project_id(self, name: str) -> str:
        return self._known["projects", name]

    def _serve(self, program: str, port: int, *arguments: str) -> processes.Process:
        name = program.removesuffix("_server.py")
        directory = self._directory / name
        directory.mkdir()
        argv = [*processes.command("python"), str(PROGRAMS / program), str(directory), str(port), *arguments]
        return processes.Process(name, argv, directory)

    def _wait(self, port: int) -> None:
        def answers() -> bool:
            for server in self._servers:
                assert server.runs, f"{server.name} ended:\n{server.output}"
            return processes.listens(port)

        until(f"port {port} is open", answers)

    def _populate(self) -> None:
        roles = self._admin("GET", "/roles")["roles"]
        self._known = {("roles", role["name"]): role["id"] for role in roles}
        for user, project, role in PEOPLE:
            project_id = self._make("projects", {"name": project, "domain_id": "default"})
            user_id = self._make("users", {"name": user, "password": PASSWORD, "domain_id": "default"})
            self._admin("PUT", f"/projects/{project_id}/users/{user_id}/roles/{self._known['roles', role]}")
        self.add_endpoint("placement", self.placement_url)

    def _make(self, collection: str, body: dict[str, Any]) -> str:
        """The id of the thing, made unless it was made before."""
        key = (collection, str(body.get("name") or body["id"]))
        if key not in self._known:
            member = collection.removesuffix("s")
            method, path = ("PUT", f"/{collection}/{body['id']}") if "id" in body else ("POST", f"/{collection}")
            if (collection, body.get("id")) == ("regions", REGION):
                return REGION
            self._known[key] = self._admin(method, path, {member: body})[member]["id"]
        return self._known[key]

    def _admin(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.session(*ADMIN).request(f"{self.url}{path}", method, json=body)
        return answer.json() if answer.content else None
