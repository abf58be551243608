# SPDX-License-Identifier: Apache-2.0
"""What must hold in the database and in Placement once nothing is under way, whatever happened before.

    problems(store, placement, ["gpu-1"])       # [] when all of it holds, else a sentence for each thing that does not

Nothing is left out because something else is wrong.
"""

from collections.abc import Iterable

from sqlalchemy import select

from cyborg.domain import arq, errors, inventory, view
from cyborg.placement.client import GenerationConflict, PlacementClient
from cyborg.store import hosts
from cyborg.store.engine import Store
from cyborg.store.models import Accelerator, Arq, Instance, Operation
from cyborg.store.operations import TURN
from cyborg.tests.simulation.invariants import differences

SETTLED = frozenset({arq.State.INITIAL, arq.State.BOUND, arq.State.UNBOUND, arq.State.BIND_FAILED})


def problems(store: Store, placement: PlacementClient, names: Iterable[str]) -> list[str]:
    """Of the database, and of Placement for those hosts; a host that is being moved has its problems in Placement."""
    wrong = wrong_in_database(store)
    for host in [load(store, name) for name in names]:
        if host.moving_to is None and (found := wrong_in_placement(placement, host)):
            wrong += [f"Placement differs from the books of {host.name}", *found]
    return wrong


def wrong_in_database(store: Store) -> list[str]:
    with store.reading() as tx:
        holders = [uuid for uuid in tx.execute(select(Accelerator.arq_uuid)).scalars() if uuid]
        requests = {row.uuid: row for row in tx.execute(select(Arq.uuid, Arq.state, Arq.instance_uuid))}
        instances = set(tx.execute(select(Instance.instance_uuid)).scalars())
        # The turns of periodic work are always there, and what was given up is kept.
        ending = (~Operation.kind.startswith(TURN), Operation.ended_at.is_(None))
        waiting = len(tx.execute(select(Operation.id).where(*ending)).all())
    bound = {uuid for uuid, row in requests.items() if row.state is arq.State.BOUND}
    checks = {
        "an accelerator has two holders": len(holders) == len(set(holders)),
        f"held by {sorted(holders)}, bound are {sorted(bound)}": set(holders) == bound,
        "a request is between two states": {row.state for row in requests.values()} <= SETTLED,
        "the guards of instances differ": instances == {row.instance_uuid for row in requests.values()} - {None},
        f"{waiting} operation(s) are not done": waiting == 0,
    }
    return [what for what, holds in checks.items() if not holds]


def bound(store: Store) -> set[str]:
    """The requests that are."""
    with store.reading() as tx:
        return set(tx.execute(select(Arq.uuid).where(Arq.state == arq.State.BOUND)).scalars())


def requests(store: Store) -> set[str]:
    with store.reading() as tx:
        return set(tx.execute(select(Arq.uuid)).scalars())


def free(store: Store, name: str) -> int:
    """How many accelerators of the host are."""
    units = load(store, name).units()
    return sum(device.state(unit) is inventory.AcceleratorState.FREE for device, _, unit in units)


def wrong_in_placement(placement: PlacementClient, host: inventory.Host) -> list[str]:
    wanted = {provider.uuid: provider for provider in view.view(host).providers}
    tree = placement.get(f"/resource_providers?in_tree={host.provider_uuid}")["resource_providers"]
    others = [one for one in tree if one["uuid"] not in wanted]
    try:
        return [
            *(one for provider in wanted.values() for one in differences(placement, provider)),
            *(f"{one['name']} still offers something" for one in others if _offers(placement, one["uuid"])),
        ]
    except GenerationConflict:
        return ["Placement changed while it was read"]


def load(store: Store, name: str) -> inventory.Host:
    """Raises Unavailable while its agent has not reported."""
    with store.transaction() as tx:
        found = hosts.load(tx, name)
    if found is None:
        raise errors.Unavailable(f"{name} has not reported yet.")
    return found


def _offers(placement: PlacementClient, provider: str) -> bool:
    inventories = placement.get(f"/resource_providers/{provider}/inventories")["inventories"]
    return any(one["total"] > one["reserved"] for one in inventories.values())
