# SPDX-License-Identifier: Apache-2.0
"""What Nova does for a server with accelerators: candidates, claim, requests, bind; and everything back at its end."""

import json
import random
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from cyborg.domain import profile
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.placement.client import GenerationConflict, Refused
from cyborg.tests.simulation.cloud import Cloud

#: Of each group's request in a query, as Nova names them.
SUFFIX = "_device_profile_"
OWNER = {"project_id": "a-project", "user_id": "a-user", "consumer_type": "INSTANCE"}

Groups = Sequence[Mapping[str, str]]


def group(*traits: str, amount: int = 1) -> dict[str, str]:
    return {"resources:CUSTOM_ACCELERATOR": str(amount)} | {f"trait:{trait}": "required" for trait in traits}


GPU, FPGA, QAT = "CUSTOM_GPU", "CUSTOM_FPGA", "CUSTOM_QAT"
NVIDIA, BIG_GPU = "CUSTOM_GPU_NVIDIA", "CUSTOM_GPU_NVIDIA_20F1"
#: By name of the device profile; each is asked for as often as the others.
PROFILES: Mapping[str, Groups] = {
    "any": [group()],
    "gpu": [group(GPU)],
    "nvidia": [group(NVIDIA)],
    "big-gpu": [group(BIG_GPU)],
    "fpga": [group(FPGA)],
    "qat": [group(QAT)],
    "two-qats": [group(QAT, amount=2)],
    "two-gpus": [group(GPU, amount=2)],
    "gpu-and-gpu": [group(GPU), group(GPU)],
    "gpu-and-fpga": [group(GPU), group(FPGA)],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """After its claim in Placement; ``providers`` has that of each group."""

    uuid: str
    profile: str
    provider: str
    hostname: str
    providers: tuple[str, ...]
    allocations: Mapping[str, Mapping[str, int]]
    requests: Mapping[str, int] = field(default_factory=dict)


class Nova:
    """``failed`` counts by profile the boots that passed scheduling and were refused at their bind."""

    def __init__(self, cloud: Cloud, chance: random.Random, profiles: Mapping[str, Groups]) -> None:
        self._cloud = cloud
        self._chance = chance
        self.servers: dict[str, Server] = {}
        self.outcomes: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.groups = {name: profile.parse_groups(groups)[0] for name, groups in profiles.items()}
        for name, groups in profiles.items():
            made = cloud.call("POST", "/device_profiles", [{"name": name, "groups": list(groups)}])
            assert made.status_code == HTTPStatus.CREATED, made.text

    def schedule(self, name: str) -> Server | None:
        """Claimed on one of the hosts that Placement offers; None when there is none."""
        offers = self._candidates(name)
        self._chance.shuffle(offers)
        for offer in offers:
            server = self._server(name, offer)
            try:
                self._cloud.placement.put(f"/allocations/{server.uuid}", _claim(server.allocations))
            except (GenerationConflict, Refused):
                self.outcomes["claim lost"] += 1
                continue
            return server
        self.outcomes["no valid host"] += 1
        return None

    def finish(self, server: Server) -> bool:
        """The rest of the boot on the host that was claimed; False when the bind is refused, with all undone."""
        created = self._cloud.call("POST", "/accelerator_requests", {"device_profile_name": server.profile})
        assert created.status_code == HTTPStatus.CREATED, created.text
        requests = {one["uuid"]: int(one["device_profile_group_id"]) for one in created.json["arqs"]}
        body = {request: self._binding(server, server.providers[group]) for request, group in requests.items()}
        answer = self._cloud.call("PATCH", "/accelerator_requests", body)
        if answer.status_code == HTTPStatus.ACCEPTED:
            self.servers[server.uuid] = Server(
                **{name: getattr(server, name) for name in Server.__slots__ if name != "requests"}, requests=requests
            )
            self.outcomes["booted"] += 1
            return True
        assert answer.status_code == HTTPStatus.CONFLICT, answer.text
        self.outcomes["failed at bind"] += 1
        self.failed[server.profile] += 1
        self._call("DELETE", f"/accelerator_requests?arqs={','.join(requests)}")
        self._cloud.placement.delete(f"/allocations/{server.uuid}")
        return False

    def delete(self, uuid: str) -> Server:
        self._call("DELETE", f"/accelerator_requests?instance={uuid}")
        self._cloud.placement.delete(f"/allocations/{uuid}")
        self.outcomes["deleted"] += 1
        return self.servers.pop(uuid)

    def usages(self) -> dict[str, Counter[str]]:
        """What the servers hold by their allocations, by provider."""
        found: dict[str, Counter[str]] = {}
        for server in self.servers.values():
            for provider, resources in server.allocations.items():
                found.setdefault(provider, Counter()).update(resources)
        return found

    def _candidates(self, name: str) -> list[Mapping[str, Any]]:
        """None also where Placement refuses the question, as it does for a class that no host has shown yet."""
        try:
            found = self._cloud.placement.get(f"/allocation_candidates?{self._query(name)}")
        except Refused:
            return []
        # Placement's order is any; ours is the same in every run of a seed.
        return sorted(found["allocation_requests"], key=lambda offer: json.dumps(offer, sort_keys=True))

    def _query(self, name: str) -> str:
        query: dict[str, Any] = {"resources": "VCPU:1", "group_policy": "none", "limit": 1000}
        for index, one in enumerate(self.groups[name]):
            query[f"resources{SUFFIX}{index}"] = ",".join(f"{key}:{amount}" for key, amount in one.resources.items())
            if one.required:
                query[f"required{SUFFIX}{index}"] = ",".join(sorted(one.required))
        return urlencode(query)

    def _server(self, name: str, offer: Mapping[str, Any]) -> Server:
        (provider,) = offer["mappings"][""]
        return Server(
            uuid=str(uuid.UUID(int=self._chance.getrandbits(128), version=4)),
            profile=name,
            provider=provider,
            hostname=self._cloud.by_provider[provider].machine.name,
            providers=tuple(offer["mappings"][f"{SUFFIX}{index}"][0] for index in range(len(self.groups[name]))),
            allocations={provider: part["resources"] for provider, part in offer["allocations"].items()},
        )

    def _binding(self, server: Server, provider: str) -> list[dict[str, str]]:
        wanted = {"hostname": server.hostname, "device_rp_uuid": provider, "instance_uuid": server.uuid}
        return [{"op": "add", "path": f"/{name}", "value": value} for name, value in wanted.items()]

    def _call(self, method: str, path: str) -> None:
        answer = self._cloud.call(method, path)
        assert answer.status_code == HTTPStatus.NO_CONTENT, answer.text


def _claim(allocations: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    parts = {provider: {"resources": dict(resources)} for provider, resources in allocations.items()}
    return {"allocations": parts, "consumer_generation": None, **OWNER}


def for_shape(shape: Shape) -> dict[str, Groups]:
    """The profiles that hosts of the shape can serve: two whole cards of one group are two providers when nested.

    Where kinds are counted, every profile that knows its kind names that class.
    """
    left_out: Iterable[str] = {"two-gpus"} if shape.layout is Layout.NESTED else ()
    found = {name: groups for name, groups in PROFILES.items() if name not in left_out}
    if shape.naming is Naming.COUNTED:
        return {name: [_counted(one) for one in groups] for name, groups in found.items()}
    return found


def _counted(one: Mapping[str, str]) -> Mapping[str, str]:
    kinds = {key.split("_")[1] for key in one if key.startswith("trait:")}
    return {**one, **{f"resources:CUSTOM_ACCELERATOR_{kind}": one["resources:CUSTOM_ACCELERATOR"] for kind in kinds}}
