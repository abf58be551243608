# SPDX-License-Identifier: Apache-2.0
"""What must hold after every step; each check raises AssertionError that says what does not."""

from collections import Counter
from http import HTTPStatus

from cyborg.domain import inventory, view
from cyborg.domain.layout_nested import OWNER
from cyborg.placement import target
from cyborg.placement.client import PlacementClient
from cyborg.placement.providers import Providers, Snapshot
from cyborg.tests.simulation.cloud import Cloud
from cyborg.tests.simulation.servers import Nova

NOVAS_OWN = {"VCPU"}


def check_host(cloud: Cloud, nova: Nova, name: str) -> None:
    """Who holds what on the host, that it is of the kind asked for, and that Placement shows what the books say."""
    host = cloud.host(name)
    _check_holders(host, nova)
    wanted = view.view(host).providers
    tree = cloud.shown.tree(wanted[0].uuid)
    for provider in wanted:
        # A provider of the same generation is as it was: not read again.
        seen = cloud.shown.read(provider.uuid, tree[provider.uuid].generation)
        wrong = _differences(seen, provider)
        assert not wrong, f"{host.name}: {wrong}"


def check_everything(cloud: Cloud, nova: Nova) -> None:
    """The same of every host, with nothing taken for granted, and all books against each other."""
    for name in cloud.agents:
        host = cloud.host(name)
        _check_holders(host, nova)
        wrong = [one for wanted in view.view(host).providers for one in differences(cloud.placement, wanted)]
        assert not wrong, f"{name}: {wrong}"
    _check_usage(cloud, nova)
    listed = cloud.call("GET", "/accelerator_requests")
    assert listed.status_code == HTTPStatus.OK
    handles = {one["uuid"]: one["attach_handle_uuid"] for one in listed.json["arqs"]}
    assert all(one["state"] == "Bound" for one in listed.json["arqs"])
    assert handles.keys() == {request for server in nova.servers.values() for request in server.requests}
    assert len(set(handles.values())) == len(handles), "two requests hold one accelerator"


def differences(placement: PlacementClient, wanted: view.Provider) -> list[str]:
    """In what Placement shows something else of ours than ``wanted``, as it answers now."""
    return _differences(Providers(placement).read(wanted.uuid), wanted)


def _check_holders(host: inventory.Host, nova: Nova) -> None:
    wanted = {
        request: nova.groups[server.profile][group]
        for server in nova.servers.values()
        if server.hostname == host.name
        for request, group in server.requests.items()
    }
    held = [(unit.holder, device, part) for device, part, unit in host.units() if unit.holder]
    assert sorted(holder for holder, _, _ in held) == sorted(wanted), f"{host.name}: holders and servers differ"
    for holder, device, part in held:
        suits = wanted[holder].matches(part) and wanted[holder].is_content_with(device.type, part.memory_mib)
        assert suits, f"{holder} holds {part.name} ({device.type}), which is of the wrong kind"


def _differences(seen: Snapshot, wanted: view.Provider) -> list[str]:
    if target.is_nova_managed(seen):
        return _differences_in_use(seen, wanted)
    shown = {name: (one.total, one.reserved) for name, one in seen.inventories.items() if name not in NOVAS_OWN}
    amounts = {name: (one.total, one.reserved) for name, one in wanted.inventories.items() if one.total}
    return _compare(shown, amounts) + _compare(_traits(seen), wanted.traits)


def _differences_in_use(seen: Snapshot, wanted: view.Provider) -> list[str]:
    """Nova sets the total, so what may be used counts; and nothing may be while a class is not shown yet."""
    shown = {name: one.total - one.reserved for name, one in seen.inventories.items() if name not in NOVAS_OWN}
    usable = {name: wanted.inventories[name].usable if name in wanted.inventories else None for name in shown}
    waits = any(one.total and name not in shown for name, one in wanted.inventories.items())
    return _compare(shown, usable) + _compare(_traits(seen), frozenset() if waits else wanted.traits)


def _traits(seen: Snapshot) -> set[str]:
    return {trait for trait in seen.traits if trait.startswith("CUSTOM_") or trait == OWNER}


def _compare(shown: object, wanted: object) -> list[str]:
    return [] if shown == wanted else [f"Placement shows {shown}, the books say {wanted}"]


def _check_usage(cloud: Cloud, nova: Nova) -> None:
    """Allocations as the servers have them, what Placement counts, and what the books count."""
    recount = nova.usages()
    for agent in cloud.agents.values():
        host = cloud.host(agent.machine.name)
        held: Counter[str] = Counter()
        for _, part, unit in host.units():
            carrier = view.carrier(host.provider_uuid, host.shape.layout, part.name)
            held[str(carrier)] += unit.holder is not None
        for provider in {one.uuid for one in view.view(host).providers}:
            used = cloud.placement.get(f"/resource_providers/{provider}/usages")["usages"]
            mine = recount.get(provider, Counter())
            assert Counter({name: count for name, count in used.items() if count}) == mine, f"{host.name}: {used}"
            assert used.get(view.GENERIC_CLASS, 0) == held[provider], f"{host.name}: {used} and {held[provider]} held"
