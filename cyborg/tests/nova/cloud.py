# SPDX-License-Identifier: Apache-2.0
"""What users and administrators of the cloud do, in their words, and what they see.

cloud = Cloud(...)
server = cloud.boot(GPU)
cloud.act(server, {"reboot": {"type": "HARD"}})
cloud.until(server, "ACTIVE")
cloud.delete(server)
"""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from cyborg.tests.functional.cloud import ACCELERATOR, PROJECTS
from cyborg.tests.functional.keystone_fixture import Identity
from cyborg.tests.nova.nova import Nova
from cyborg.tests.nova.programs import Programs, until
from cyborg.tests.nova.service import FPGA_TRAIT, GPU_TRAIT, Service

#: The one before an evacuated server ends stopped; one more knows nothing that matters here.
COMPUTE = {"endpoint_filter": {"service_type": "compute"}, "microversion": "2.94", "raise_exc": False}
IMAGE = "70a599e0-31e7-49b7-b260-868f441e862b"
OTHER_IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
#: Flavors; all but PLAIN name the device profile of the same name.
PLAIN, GPU, FPGA, BOTH_GPUS, GPU_AND_FPGA = "plain", "gpu", "fpga", "both-gpus", "gpu-and-fpga"
_GPU = {"resources:CUSTOM_ACCELERATOR": "1", f"trait:{GPU_TRAIT}": "required"}
_FPGA = {"resources:CUSTOM_ACCELERATOR": "1", f"trait:{FPGA_TRAIT}": "required"}
PROFILES: Mapping[str, list[dict[str, str]]] = {
    GPU: [_GPU],
    FPGA: [_FPGA],
    BOTH_GPUS: [_GPU, _GPU],
    GPU_AND_FPGA: [_GPU, _FPGA],
}
#: A server is not changed any more in these.
SETTLED = frozenset({"ACTIVE", "ERROR", "SHUTOFF", "SHELVED_OFFLOADED", "PAUSED"})


class Cloud:
    """Calls are made by alice of project demo, unless another user is named."""

    def __init__(self, identity: Identity, programs: Programs, nova: Nova, service: Service) -> None:
        self.identity = identity
        self.programs = programs
        self.nova = nova
        self.service = service

    @property
    def hosts(self) -> list[str]:
        return self.service.hosts

    def make_flavors(self) -> None:
        for name, groups in PROFILES.items():
            made = self.ours("POST", "/device_profiles", user="admin", body=[{"name": name, "groups": groups}])
            assert made.status_code == 201, made.text
        for name in (PLAIN, *PROFILES):
            self.make_flavor(name, {"accel:device_profile": name} if name in PROFILES else {})

    def make_flavor(self, name: str, properties: Mapping[str, str]) -> None:
        body = {"flavor": {"id": name, "name": name, "ram": 64, "vcpus": 1, "disk": 1}}
        self.compute("POST", "/flavors", user="admin", body=body, expect=200)
        if properties:
            body = {"extra_specs": dict(properties)}
            self.compute("POST", f"/flavors/{name}/os-extra_specs", user="admin", body=body, expect=200)

    # Servers.

    def ask(self, flavor: str, host: str = "") -> str:
        """A server that is being built; on ``host`` where one is named."""
        body = {"name": flavor, "flavorRef": flavor, "imageRef": IMAGE, "networks": "none"}
        if host:
            body["host"] = host
        return str(self.compute("POST", "/servers", user="alice", body={"server": body}, expect=202)["server"]["id"])

    def boot(self, flavor: str, host: str = "") -> str:
        server = self.ask(flavor, host)
        self.until(server, "ACTIVE")
        return server

    def show(self, server: str) -> dict[str, Any]:
        return dict(self.compute("GET", f"/servers/{server}", user="admin", expect=200)["server"])

    def host_of(self, server: str) -> str:
        return str(self.show(server)["OS-EXT-SRV-ATTR:hypervisor_hostname"])

    def fault(self, server: str) -> str:
        return str(self.show(server).get("fault", {}).get("message", ""))

    def settled(self, server: str) -> str:
        """Its status when Nova has done what it was told."""

        def done() -> bool:
            seen = self.show(server)
            return seen["status"] in SETTLED and seen["OS-EXT-STS:task_state"] is None

        until(f"server {server} settles", done)
        return str(self.show(server)["status"])

    def until(self, server: str, status: str) -> None:
        assert self.settled(server) == status, f"{self.show(server)['status']}: {self.fault(server)}"

    def act(self, server: str, action: Mapping[str, Any], *, user: str = "alice", expect: int = 202) -> None:
        self.compute("POST", f"/servers/{server}/action", user=user, body=action, expect=expect)

    def delete(self, *servers: str) -> None:
        """Returns when they are gone."""
        for server in servers:
            self.compute("DELETE", f"/servers/{server}", user="admin", expect=204)
        until("the servers are gone", lambda: not self.servers() & set(servers))

    def servers(self) -> set[str]:
        found = self.compute("GET", "/servers?all_tenants=1", user="admin", expect=200)["servers"]
        return {one["id"] for one in found}

    def mend(self) -> None:
        """Start what does not run, and delete every server and every request that is not bound."""
        for host in self.hosts:
            if not self.programs.runs(f"nova-compute-{host}"):
                self.start_compute(host)
                self.until_forced_up(host)
        self.programs.start("cyborg-conductor", *self.service.agents())
        self.delete(*self.servers())
        self.drop_unbound()

    # Hosts.

    def restart_compute(self, host: str) -> None:
        """As an operator does."""
        self.programs.stop(f"nova-compute-{host}")
        self.start_compute(host)

    def start_compute(self, host: str) -> None:
        """Returns when it serves: it says that it is alive for the first time then."""
        before = self._compute_service(host).get("updated_at")
        self.programs.start(f"nova-compute-{host}")
        until(f"nova-compute of {host} serves", lambda: self._compute_service(host).get("updated_at") != before)

    def change_service(self, host: str, change: Mapping[str, Any], *, expect: int = 200) -> None:
        service = self._compute_service(host)["id"]
        self.compute("PUT", f"/os-services/{service}", user="admin", body=change, expect=expect)

    def until_forced_up(self, host: str) -> None:
        """Nova refuses while the evacuations from there are not cleaned up."""
        service = self._compute_service(host)["id"]

        def done() -> bool:
            session = self.identity.session("admin", "admin")
            answer = session.request(f"/os-services/{service}", "PUT", json={"forced_down": False}, **COMPUTE)
            return bool(answer.status_code == 200)

        until(f"nova-compute of {host} may be used again", done)

    def _compute_service(self, host: str) -> dict[str, Any]:
        found = self.compute("GET", f"/os-services?binary=nova-compute&host={host}", user="admin", expect=200)
        return next(iter(found["services"]), {})

    # Calls.

    def compute(self, method: str, path: str, *, user: str, body: Any = None, expect: int) -> Any:
        session = self.identity.session(user, PROJECTS[user])
        answer = session.request(path, method, json=body, **COMPUTE)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text else None

    def ours(self, method: str, path: str, *, user: str = "alice", body: Any = None) -> Any:
        return self.identity.session(user, PROJECTS[user]).request(path, method, json=body, **ACCELERATOR)

    def requests(self, server: str = "", user: str = "admin") -> list[dict[str, Any]]:
        """Those of a server, or all."""
        query = f"?instance={server}" if server else ""
        return list(self.ours("GET", f"/accelerator_requests{query}", user=user).json()["arqs"])

    def drop_unbound(self) -> None:
        """What ``[conductor] arq_expiry`` would do much later.

        Nova makes requests before it binds them, and when it cannot delete them afterwards it does not try again.
        """
        for request in self.requests():
            if request["state"] == "Initial":
                self.ours("DELETE", f"/accelerator_requests/{request['uuid']}", user="admin")

    def guests(self, host: str) -> dict[str, Any]:
        """What runs on the hypervisor, whether Nova knows or not."""
        file = self.nova.directory_of(host) / "instances" / "guests.json"
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def new_name() -> str:
    return uuid.uuid4().hex[:8]
