# SPDX-License-Identifier: Apache-2.0
"""All books of the cloud against each other: Nova's, Placement's, ours, and what runs on the hypervisors.

books = Books(cloud)
before = books.of_placement()
...
books.check(server, cards=2)
books.check_nothing_left(before)
"""

from typing import Any

from cyborg.tests.functional.deployment import PLACEMENT
from cyborg.tests.nova.cloud import Cloud
from cyborg.tests.nova.programs import until

CLASS = "CUSTOM_ACCELERATOR"
OURS = ("CUSTOM_", "OWNER_CYBORG")


class Books:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    # Placement.

    def placement(self, path: str) -> Any:
        return self._cloud.identity.session("nova", "service").get(path, **PLACEMENT).json()

    def tree(self, host: str) -> dict[str, str]:
        """Uuid to name: the provider of the compute node and those below it."""
        named = self.placement(f"/resource_providers?name={host}")["resource_providers"]
        if not named:
            return {}
        found = self.placement(f"/resource_providers?in_tree={named[0]['uuid']}")["resource_providers"]
        return {one["uuid"]: one["name"] for one in found}

    def shown(self, host: str) -> dict[str, Any]:
        """Of each provider of the host, what is ours and what is used of it."""
        return {name: self._provider(uuid) for uuid, name in sorted(self.tree(host).items(), key=lambda one: one[1])}

    def _provider(self, uuid: str) -> dict[str, Any]:
        here = f"/resource_providers/{uuid}"
        amount = self.placement(f"{here}/inventories")["inventories"].get(CLASS, {})
        traits = self.placement(f"{here}/traits")["traits"]
        return {
            "total": amount.get("total"),
            "reserved": amount.get("reserved"),
            "used": self.placement(f"{here}/usages")["usages"].get(CLASS, 0),
            "traits": sorted(trait for trait in traits if trait.startswith(OURS)),
        }

    def of_placement(self) -> dict[str, Any]:
        return {host: self.shown(host) for host in self._cloud.hosts}

    def allocated(self, server: str) -> dict[str, int]:
        """Units of our class that Placement counts for the server, by provider."""
        found = self.placement(f"/allocations/{server}")["allocations"]
        return {provider: one["resources"][CLASS] for provider, one in found.items() if one["resources"].get(CLASS, 0)}

    def offered(self, host: str, trait: str) -> bool:
        """Whether Placement offers the host for one more accelerator with the trait."""
        found = self._cloud.identity.session("nova", "service").get(
            # Suffixed, so that the host itself may be another provider than the accelerator's.
            f"/allocation_candidates?resources1={CLASS}:1&required1={trait}&resources=VCPU:1&group_policy=none",
            raise_exc=False,
            **PLACEMENT,
        )
        return bool(self.tree(host).keys() & found.json().get("provider_summaries", {}).keys())

    def until_offered(self, host: str, trait: str, *, so: bool = True) -> None:
        until(f"{host} is offered for {trait}: {so}", lambda: self.offered(host, trait) is so)

    def offered_anywhere(self, trait: str) -> bool:
        return any(self.offered(host, trait) for host in self._cloud.hosts)

    def until_placement_is(self, wanted: dict[str, Any]) -> None:
        until("Placement is as before", lambda: self.of_placement() == wanted, self.of_placement)

    # All together.

    def check(self, server: str, *, cards: int) -> set[str]:
        """All books say that the server has so many cards, the same ones; returns its requests."""
        host = self._cloud.host_of(server)
        requests = self._cloud.requests(server)
        assert len(requests) == cards, requests
        assert {one["state"] for one in requests} <= {"Bound"}, requests
        assert {one["hostname"] for one in requests} <= {host}, requests
        units = self.allocated(server)
        assert sum(units.values()) == cards, units
        assert units.keys() == {one["device_rp_uuid"] for one in requests}, (units, requests)
        assert units.keys() <= self.tree(host).keys(), (units, host)
        assert self._guest_has(host, server) == sorted(map(_card, requests))
        return {one["uuid"] for one in requests}

    def cards(self, server: str) -> list[tuple[str, str]]:
        """Types and addresses in the books of ours."""
        return sorted(map(_card, self._cloud.requests(server)))

    def _guest_has(self, host: str, server: str) -> list[tuple[str, str]]:
        """A guest that is stopped has none."""
        guest = self._cloud.guests(host)[server]
        return sorted((card["type"], card["address"]) for card in guest["cards"])

    def check_nothing_left(self, before: dict[str, Any]) -> None:
        """No request, no allocation, no guest, and everything is offered again as it was before."""
        until("no request is left", lambda: not self._cloud.requests())
        self.until_placement_is(before)
        assert [self._cloud.guests(host) for host in self._cloud.hosts] == [{} for _ in self._cloud.hosts]

    def audit(self) -> None:
        """Neither our command nor Nova's finds a difference."""
        ours = self._cloud.service.run("cyborg-manage", "audit")
        assert (ours.returncode, ours.stdout) == (0, ""), ours.stdout + ours.stderr
        novas = self._cloud.nova.audit()
        assert novas.returncode == 0, novas.stdout + novas.stderr


def _card(request: dict[str, Any]) -> tuple[str, str]:
    info = request["attach_handle_info"]
    address = f"{info['domain']}:{info['bus']}:{info['device']}.{info['function']}"
    return request["attach_handle_type"], address
