# SPDX-License-Identifier: Apache-2.0
"""Reports, requests and hosts to store, each with only what a test cares about."""

import dataclasses
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from cyborg.domain import arq, inventory, profile, reconcile, report
from cyborg.store import arqs, hosts
from cyborg.store.engine import Store

HOST = "compute-1"
GPU = frozenset({"CUSTOM_GPU", "CUSTOM_GPU_NVIDIA"})
INSTANCE = "11111111-1111-4111-8111-111111111111"
PROVIDER = "22222222-2222-4222-8222-222222222222"


def new_uuid() -> str:
    return str(uuid.uuid4())


def card(number: int = 0, *, units: int = 1, serial: str | None = None, **changes: Any) -> report.Device:
    address = f"0000:{number:02x}:00.0"
    accelerators = tuple(
        report.pci_accelerator(f"vf{vf}", f"0000:{number:02x}:{vf // 8:02x}.{vf % 8}") for vf in range(units)
    )
    part = report.Deployable(resource_class="PGPU", traits=GPU, accelerators=accelerators)
    members: dict[str, Any] = {
        "address": address,
        "serial": serial,
        "type": report.DeviceType.GPU,
        "vendor": "10de",
        "model": "20f1",
        "deployables": (part,),
        "facts": {"name": "A100", "memory": {"total": 40960}},
    }
    return report.Device(**(members | changes))


def fpga(number: int = 0x80, *, regions: int = 2, **changes: Any) -> report.Device:
    below = tuple(
        report.Deployable(
            key=f"region{index}",
            resource_class="FPGA",
            traits=frozenset({f"CUSTOM_FPGA_INTEL_REGION_{index}"}),
            accelerators=(report.pci_accelerator("vf0", f"0000:{number:02x}:00.{index + 1}"),),
            memory_mib=4096,
        )
        for index in range(regions)
    )
    top = report.Deployable(resource_class="FPGA", traits=frozenset({"CUSTOM_FPGA"}), children=below)
    members: dict[str, Any] = {"type": report.DeviceType.FPGA, "vendor": "8086", "model": "09c4", "deployables": (top,)}
    return card(number, **(members | changes))


def seen(*devices: report.Device, driver: str = "fake_driver", host: str = HOST) -> report.DeviceReport:
    return report.DeviceReport(host=host, driver=driver, devices=devices)


def apply(store: Store, complete: report.DeviceReport, *, absence_limit: int = 3) -> inventory.Host:
    """A report on its way into the books, as a conductor does it."""
    with store.transaction() as tx:
        before = hosts.get_or_create(tx, complete.host)
        return hosts.save(tx, before, reconcile.plan(before, complete, absence_limit=absence_limit))


def stored(store: Store, name: str = HOST) -> inventory.Host:
    with store.transaction() as tx:
        found = hosts.load(tx, name)
    assert found is not None
    return found


def hold(host: inventory.Host, holders: dict[str, str | None]) -> inventory.Host:
    """The host with these holders, by uuid of the unit."""

    def held(unit: inventory.Accelerator) -> inventory.Accelerator:
        return dataclasses.replace(unit, holder=holders[unit.uuid]) if unit.uuid in holders else unit

    return host.map_accelerators(held)


def next_generation(host: inventory.Host) -> inventory.Host:
    return dataclasses.replace(host, generation=host.generation + 1)


def request(**changes: Any) -> arq.Arq:
    members: dict[str, Any] = {
        "uuid": new_uuid(),
        "project_id": "project-a",
        "state": arq.State.INITIAL,
        "profile_name": "gpu",
        "group_id": 0,
        "group": profile.Group(
            resources={"CUSTOM_ACCELERATOR": 1},
            traits={"CUSTOM_GPU": profile.TraitRule.REQUIRED},
            accel={"z": "1", "a": "2"},
        ),
    }
    return arq.Arq(**(members | changes))


def requests(store: Store, count: int = 1, **changes: Any) -> list[arq.Arq]:
    made = [request(**changes) for _ in range(count)]
    with store.transaction() as tx:
        arqs.create(tx, made)
    return made


def binding(request: arq.Arq, *, instance_uuid: str = INSTANCE, hostname: str = HOST) -> arq.Binding:
    return arq.Binding(arq_uuid=request.uuid, hostname=hostname, device_rp_uuid=PROVIDER, instance_uuid=instance_uuid)


def together(functions: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each returned or raised, all started at the same moment in threads of their own."""
    start = threading.Barrier(len(functions))
    answers: list[Any] = [None] * len(functions)

    def run(index: int) -> None:
        start.wait()
        try:
            answers[index] = functions[index]()
        except Exception as error:
            answers[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
