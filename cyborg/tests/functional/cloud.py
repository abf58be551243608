# SPDX-License-Identifier: Apache-2.0
"""Nova, its users and the operators of a deployment, in their own words."""

from typing import Any

import sqlalchemy
from sqlalchemy import func, select

from cyborg.store import models, operations
from cyborg.tests.functional.deployment import PLACEMENT, Deployment
from cyborg.tests.functional.fake_nova import FakeNova
from cyborg.tests.functional.keystone_fixture import REGION, Identity
from cyborg.tests.waiting import until

PROFILE = "a-gpu"
GPU_TRAIT = "CUSTOM_GPU_NVIDIA"
PROJECTS = {"alice": "demo", "rita": "demo", "bob": "other", "admin": "admin"}
#: Seconds: a lease, the pause until somebody looks, and a slow machine.
ABANDONED = 90.0
ACCELERATOR = {"endpoint_filter": {"service_type": "accelerator", "region_name": REGION}, "raise_exc": False}


class Cloud:
    """Calls are made by alice of project demo, unless another user is named."""

    def __init__(self, deployment: Deployment, identity: Identity, nova: FakeNova, engine: sqlalchemy.Engine) -> None:
        self.deployment = deployment
        self.identity = identity
        self.nova = nova
        self.engine = engine
        self.provider = deployment.provider(deployment.gpu_host)

    def create_profile(self) -> None:
        groups = [{"resources:CUSTOM_ACCELERATOR": "1", f"trait:{GPU_TRAIT}": "required"}]
        made = self.call("POST", "/device_profiles", user="admin", body=[{"name": PROFILE, "groups": groups}])
        assert made.status_code == 201, made.text

    def call(self, method: str, path: str, *, user: str = "alice", service: str = "", body: Any = None) -> Any:
        session = self.identity.session(user, PROJECTS[user], service=service)
        return session.request(path, method, json=body, **ACCELERATOR)

    def create(self) -> str:
        made = self.call("POST", "/accelerator_requests", service="nova", body={"device_profile_name": PROFILE})
        assert made.status_code == 201, made.text
        return str(made.json()["arqs"][0]["uuid"])

    def bind(self, request: str, instance: str, *, service: str = "nova") -> Any:
        wanted = {
            "hostname": self.deployment.gpu_host,
            "device_rp_uuid": self.provider,
            "instance_uuid": instance,
        }
        patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in wanted.items()]
        return self.call("PATCH", "/accelerator_requests", service=service, body={request: patch})

    def delete(self, instance: str) -> Any:
        return self.call("DELETE", f"/accelerator_requests?instance={instance}", service="nova")

    def requests(self, user: str = "admin") -> list[dict[str, Any]]:
        return list(self.call("GET", "/accelerator_requests", user=user).json()["arqs"])

    def rows(self, table: type[models.Base], *where: sqlalchemy.ColumnElement[bool]) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())

    def is_idle(self) -> bool:
        """Whether no work is left to do, or was given up; the turns of periodic work are none."""
        return not self.rows(models.Operation, ~models.Operation.kind.startswith(operations.TURN))

    def claim(self, instance: str) -> None:
        """What Nova's scheduler does when it has chosen the host."""
        body = {
            "allocations": {self.provider: {"resources": {"CUSTOM_ACCELERATOR": 1}}},
            "consumer_generation": None,
            "consumer_type": "INSTANCE",
            "project_id": self.identity.project_id("demo"),
            "user_id": "alice",
        }
        self.deployment.nova.put(f"/allocations/{instance}", json=body, **PLACEMENT)

    def unclaim(self, instance: str) -> None:
        self.deployment.nova.delete(f"/allocations/{instance}", **PLACEMENT)

    def is_candidate(self, trait: str) -> bool:
        """Whether Placement offers the host for one more accelerator with the trait."""
        query = f"resources=CUSTOM_ACCELERATOR:1&required={trait}"
        # Of a trait that it never heard of Placement says 400.
        found = self.deployment.nova.get(f"/allocation_candidates?{query}", raise_exc=False, **PLACEMENT)
        return self.provider in found.json().get("provider_summaries", ())

    def until_candidate(self, trait: str, *, so: bool) -> None:
        until(f"candidate for {trait}: {so}", lambda: self.is_candidate(trait) is so)

    def clean(self) -> None:
        """Delete every request; returns when nothing of them is left."""
        for instance in {one["instance_uuid"] for one in self.requests()} - {None}:
            assert self.delete(instance).status_code == 204
        for one in self.requests():
            self.call("DELETE", f"/accelerator_requests/{one['uuid']}", user="admin")
        # What a conductor had in hand that was killed is another one's when its lease has run out.
        until("nothing is left", lambda: not self.rows(models.Arq) and self.is_idle(), patience=ABANDONED)
