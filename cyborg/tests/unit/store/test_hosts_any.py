# SPDX-License-Identifier: Apache-2.0
"""Whatever reports say and requests hold, the books have exactly what was planned."""

import dataclasses
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cyborg.domain import inventory, reconcile, report
from cyborg.store import hosts
from cyborg.store.engine import Store
from cyborg.tests.unit.store import builders

KEYS = st.sampled_from(["pf", "vf0", "vf1", "VF1", "größe"])
TRAITS = st.frozensets(st.sampled_from(["CUSTOM_A", "CUSTOM_B", "CUSTOM_C"]))
FACTS = st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.integers(0, 9))


@st.composite
def parts(draw: st.DrawFn, key: str, depth: int) -> report.Deployable:
    names = draw(st.lists(KEYS, unique=True, max_size=3))
    below = draw(st.lists(st.sampled_from(["r0", "r1"]), unique=True, max_size=2)) if depth else []
    return report.Deployable(
        key=key,
        resource_class=draw(st.sampled_from(["FPGA", "PGPU"])),
        traits=draw(TRAITS),
        memory_mib=draw(st.none() | st.just(2**40)),
        accelerators=tuple(
            report.Accelerator(key=name, type=report.HandleType.PCI, info=draw(st.just({"bus": "3b"}) | st.just({})))
            for name in names
        ),
        children=tuple(draw(parts(f"{key}/{name}", depth - 1)) for name in below),
    )


@st.composite
def devices(draw: st.DrawFn, address: str) -> report.Device:
    return builders.card(
        address=address,
        serial=draw(st.none() | st.just(f"S-{address}") | st.just(f"T-{address}")),
        numa_node=draw(st.none() | st.just(1)),
        health=draw(st.sampled_from(report.Health)),
        facts=draw(FACTS),
        deployables=(draw(parts("", 2)),),
    )


@st.composite
def reports(draw: st.DrawFn) -> report.DeviceReport:
    """Each driver has addresses of its own, and each address at most once."""
    driver = draw(st.sampled_from(["a", "b"]))
    addresses = draw(st.lists(st.sampled_from([f"{driver}{slot}" for slot in range(3)]), unique=True))
    return builders.seen(*(draw(devices(address)) for address in addresses), driver=driver)


def plain(host: inventory.Host) -> Any:
    """Everything but the row ids and the order, which are the store's to choose."""
    return dataclasses.replace(
        host,
        id=None,
        devices=tuple(
            dataclasses.replace(
                device,
                id=None,
                deployables=tuple(
                    dataclasses.replace(
                        part,
                        id=None,
                        parent_key=part.parent_key if part.parent_key in {p.key for p in device.deployables} else None,
                        accelerators=tuple(
                            sorted(
                                (dataclasses.replace(unit, id=None) for unit in part.accelerators),
                                key=lambda unit: unit.uuid,
                            )
                        ),
                    )
                    for part in sorted(device.deployables, key=lambda part: part.uuid)
                ),
            )
            for device in sorted(host.devices, key=lambda device: device.uuid)
        ),
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(st.tuples(reports(), st.integers(0, 3)), min_size=1, max_size=5), limit=st.integers(1, 2))
def test_a_stored_plan_is_the_plan(
    engine_store: Store, steps: list[tuple[report.DeviceReport, int]], limit: int
) -> None:
    store = engine_store
    name = builders.new_uuid()
    for complete, claims in steps:
        with store.transaction() as tx:
            before = hosts.get_or_create(tx, name)
            planned = reconcile.plan(before, complete, absence_limit=limit)
            after = hosts.save(tx, before, planned)
        assert plain(after) == plain(planned)
        assert builders.stored(store, name) == after
        _exchange_holders(store, after, claims)


def _exchange_holders(store: Store, host: inventory.Host, claims: int) -> None:
    """All who hold let go, and the first few free units are held by new requests."""
    free = [unit.uuid for _, _, unit in host.units() if unit.holder is None][:claims]
    made = builders.requests(store, len(free))
    wanted = builders.hold(host, {unit.uuid: None for _, _, unit in host.units() if unit.holder})
    wanted = builders.hold(wanted, dict(zip(free, [one.uuid for one in made], strict=True)))
    with store.transaction() as tx:
        after = hosts.save(tx, host, wanted)
    assert plain(after) == plain(wanted)
    assert builders.stored(store, host.name) == after
