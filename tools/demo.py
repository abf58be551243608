# SPDX-License-Identifier: Apache-2.0
"""The client of tools/demo.sh: one request for a GPU, from the flavor to the card and back.

It does what Nova does, with openstacksdk, against a running cyborg-standalone: demo.py URL.
"""

import sys
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import openstack.connection
from prettytable import PrettyTable

PLACEMENT = "1.39"
ACCELERATOR = "CUSTOM_ACCELERATOR"
PROFILES = {"any-gpu": "CUSTOM_GPU_NVIDIA", "any-fpga": "CUSTOM_FPGA_INTEL"}
PATIENCE = 15.0


class Failed(Exception):
    """The service did not do what this demonstration promises."""


def connect(url: str) -> Any:
    """A connection as an administrator; the service token says that a service (Nova) passes the calls on."""
    connection = openstack.connection.Connection(
        auth_type="admin_token",
        auth={"endpoint": url, "token": "admin"},
        accelerator_endpoint_override=f"{url}/v2",
        placement_endpoint_override=f"{url}/placement",
        compute_endpoint_override=url,
    )
    connection.session.additional_headers["X-Service-Token"] = "nova"
    return connection


def step(number: int, text: str) -> None:
    print(f"\n{number}. {text}\n", flush=True)


def show(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    table = PrettyTable(list(columns))
    table.align = "l"
    table.add_rows([list(row) for row in rows])
    print(table, flush=True)


def ask(connection: Any, method: str, path: str, **body: Any) -> Any:
    """One call to Placement; the JSON of its answer."""
    answer = connection.placement.request(path, method, microversion=PLACEMENT, **body)
    if not answer.ok:
        raise Failed(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else None


def providers(connection: Any) -> dict[str, dict[str, Any]]:
    """By host: uuid, total, reserved, used and the traits of its compute-node provider."""
    found = {}
    for provider in ask(connection, "GET", "/resource_providers")["resource_providers"]:
        path = f"/resource_providers/{provider['uuid']}"
        inventory = ask(connection, "GET", f"{path}/inventories")["inventories"].get(ACCELERATOR, {})
        found[provider["name"]] = {
            "uuid": provider["uuid"],
            "total": inventory.get("total", 0),
            "reserved": inventory.get("reserved", 0),
            "used": ask(connection, "GET", f"{path}/usages")["usages"].get(ACCELERATOR, 0),
            "traits": set(ask(connection, "GET", f"{path}/traits")["traits"]),
        }
    return found


def show_providers(connection: Any) -> None:
    show(
        ["resource provider", "total", "reserved", "used", "traits (generic ones)"],
        [
            [name, one["total"], one["reserved"], one["used"], " ".join(_generic(one["traits"]))]
            for name, one in sorted(providers(connection).items())
        ],
    )


def _generic(traits: Iterable[str]) -> list[str]:
    return sorted(set(PROFILES.values()) & set(traits)) or ["-"]


def candidates(connection: Any, trait: str) -> list[str]:
    """The hosts that Placement offers for one accelerator with the trait, as Nova's scheduler asks."""
    query = f"resources_device_profile_0={ACCELERATOR}:1&required_device_profile_0={trait}"
    answer = ask(connection, "GET", f"/allocation_candidates?{query}")
    names = {one["uuid"]: name for name, one in providers(connection).items()}
    return sorted({names[request["mappings"]["_device_profile_0"][0]] for request in answer["allocation_requests"]})


def until(what: str, test: Callable[[], bool]) -> None:
    """Wait for what happens a moment later: the agent publishes after the bind is answered."""
    deadline = time.monotonic() + PATIENCE
    while not test():
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not happen within {PATIENCE:.0f} seconds")
        time.sleep(0.1)


def expect(what: str, *, holds: bool) -> None:
    if not holds:
        raise Failed(f"this should be so and is not: {what}")
    print(f"   ok: {what}", flush=True)


def claim(connection: Any, instance: str, provider: str) -> None:
    """What Nova's scheduler does when it has chosen a host."""
    body = {
        "allocations": {provider: {"resources": {ACCELERATOR: 1}}},
        "consumer_generation": None,
        "consumer_type": "INSTANCE",
        "project_id": str(uuid.uuid4()),
        "user_id": str(uuid.uuid4()),
    }
    ask(connection, "PUT", f"/allocations/{instance}", json=body)


def bind(connection: Any, profile: str, host: str, provider: str, instance: str) -> Any:
    """Create a request for the profile and bind it; the request as it is then."""
    request = connection.accelerator.create_accelerator_request(device_profile_name=profile)
    binding = {"hostname": host, "device_rp_uuid": provider, "instance_uuid": instance}
    patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in binding.items()]
    connection.accelerator.patch_accelerator_request(request.id, patch)
    return connection.accelerator.get_accelerator_request(request.id)


def address(info: dict[str, str]) -> str:
    return f"{info['domain']}:{info['bus']}:{info['device']}.{info['function']}"


def main(url: str) -> None:
    connection = connect(url)
    step(1, "What the agents found, through the vendor drivers")
    devices = list(connection.accelerator.devices())
    show(
        ["host", "type", "vendor", "model", "device"],
        sorted([one.hostname, one.type, one.vendor, one.model, one.id] for one in devices),
    )
    expect("all three hosts have devices", holds=len({one.hostname for one in devices}) == len(PROFILES) + 1)

    step(2, "What Placement shows: one generic class on each compute node, and traits that say what is free")
    show_providers(connection)
    before = providers(connection)

    step(3, "What users may ask for: two device profiles")
    for name, trait in PROFILES.items():
        groups = [{f"resources:{ACCELERATOR}": "1", f"trait:{trait}": "required"}]
        connection.accelerator.create_device_profile(name=name, groups=groups)
    show(["profile", "groups"], [[one.name, one.groups] for one in connection.accelerator.device_profiles()])

    step(4, "Where Placement would schedule them")
    show(["profile", "candidates"], [[name, candidates(connection, trait)] for name, trait in PROFILES.items()])
    expect("the mixed host is a candidate for both", holds=_offers(connection, "mixed-host") == set(PROFILES))

    step(5, "A server with the flavor of any-gpu lands on mixed-host: claim, request, bind")
    instance, provider = str(uuid.uuid4()), before["mixed-host"]["uuid"]
    claim(connection, instance, provider)
    request = bind(connection, "any-gpu", "mixed-host", provider, instance)
    pci = address(request.attach_handle_info)
    show(
        ["request", "state", "host", "attach", "PCI address"],
        [[request.id, request.state, request.hostname, request.attach_handle_type, pci]],
    )
    (card,) = [one for one in devices if one.hostname == "mixed-host" and one.type == "GPU"]
    owner = [one.name for one in connection.accelerator.deployables() if one.name == f"mixed-host_{pci}"]
    expect(f"the card is the GPU of the host (device {card.id}), not its FPGA", holds=len(owner) == 1)

    step(6, "The GPU of mixed-host is taken: its traits are withdrawn, the FPGA's stay")
    trait = PROFILES["any-gpu"]
    until("the withdrawal of the GPU's traits", lambda: trait not in providers(connection)["mixed-host"]["traits"])
    show_providers(connection)
    show(["profile", "candidates"], [[name, candidates(connection, trait)] for name, trait in PROFILES.items()])
    expect(
        "mixed-host is no candidate for a second GPU, and still one for an FPGA",
        holds=_offers(connection, "mixed-host") == {"any-fpga"},
    )

    step(7, "The server is deleted: Nova deletes the requests of the instance and its allocation")
    answer = connection.accelerator.delete(f"/accelerator_requests?instance={instance}")
    expect("the requests of the instance are deleted", holds=answer.status_code == 204)
    ask(connection, "DELETE", f"/allocations/{instance}")
    until("the return of the GPU's traits", lambda: providers(connection) == before)
    show_providers(connection)
    expect("everything is as it was before", holds=not list(connection.accelerator.accelerator_requests()))
    for name in PROFILES:
        connection.accelerator.delete_device_profile(name)
    print("\nDone: the right accelerator, bound and given back.", flush=True)


def _offers(connection: Any, host: str) -> set[str]:
    return {name for name, trait in PROFILES.items() if host in candidates(connection, trait)}


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Failed as failure:
        print(f"\nFAILED: {failure}", file=sys.stderr)
        sys.exit(1)
