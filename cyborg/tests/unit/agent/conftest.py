# SPDX-License-Identifier: Apache-2.0
"""One host: a real Placement, drivers whose cards a test sets, and a conductor in memory."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from cyborg.agent.publication import NO_VIEW
from cyborg.agent.reporter import Reporter
from cyborg.conf import new_config
from cyborg.domain import errors, inventory, reconcile, report, view
from cyborg.domain.shape import Shape
from cyborg.drivers.host import Host
from cyborg.drivers.loader import LoadedDriver
from cyborg.placement.client import PlacementClient
from cyborg.placement.publisher import Publisher
from cyborg.rpc.conductor import ConductorClient, SyncAnswer
from cyborg.tests.placement_fixture import PlacementFixture

HOST = "compute-1"
GPU = frozenset({"CUSTOM_GPU", "CUSTOM_GPU_NVIDIA"})
FPGA = frozenset({"CUSTOM_FPGA", "CUSTOM_FPGA_INTEL"})


def card(address: str, *traits: str) -> report.Device:
    """A card with one accelerator."""
    return report.Device(
        address=address,
        type=report.DeviceType.GPU,
        vendor="10de",
        model="1eb8",
        deployables=(
            report.Deployable(
                resource_class="PGPU",
                traits=frozenset(traits),
                accelerators=(report.pci_accelerator("pf", address),),
            ),
        ),
    )


class SettableDriver:
    option_group: str | None = None
    options: Sequence[cfg.Opt] = ()

    def __init__(self, *cards: report.Device) -> None:
        self.cards = list(cards)
        self.failure: Exception | None = None

    def discover(self, host: Host) -> Iterable[report.Device]:
        if self.failure is not None:
            raise self.failure
        return tuple(self.cards)


class MemoryConductor(ConductorClient):
    """The books of one host, and what was asked; ``away`` is raised instead of answering. It numbers no reports."""

    def __init__(self) -> None:
        self.books = inventory.Host(name=HOST)
        self.digests: dict[str, str] = {}
        self.calls: list[str] = []
        self.away: errors.CyborgError | None = None
        self.refused: dict[str, errors.CyborgError] = {}
        self.numbers: list[int | None] = []

    def sync(
        self,
        host: str,
        provider_uuid: str | None,
        digests: Mapping[str, str],
        generation: int,
        *,
        wish: Shape | None = None,
        idle: bool = False,
    ) -> SyncAnswer:
        self._note("sync")
        if provider_uuid not in {None, self.books.provider_uuid}:
            self._change(provider_uuid=provider_uuid)
        if wish not in {None, self.books.shape}:
            generation = NO_VIEW
            if idle or not self.books.devices:
                self._change(shape=wish)
        stale = tuple(driver for driver, digest in digests.items() if self.digests.get(driver) != digest)
        newer = generation != self.books.generation
        return SyncAnswer(stale=stale, view=view.view(self.books) if newer else None)

    def report(self, seen: report.DeviceReport, sequence: int | None = None) -> view.HostView:
        self._note(f"report {seen.driver}")
        self.numbers.append(sequence)
        if seen.driver in self.refused:
            raise self.refused[seen.driver]
        planned = reconcile.plan(self.books, seen, absence_limit=1)
        self._change(devices=planned.devices, owned_traits=planned.owned_traits)
        self.digests[seen.driver] = seen.digest
        return view.view(self.books)

    def hold(self, address: str, holder: str | None) -> view.HostView:
        """Give the card to ``holder``, or free it; the view that a conductor would cast."""
        held = [
            device
            if device.address != address
            else only(device).map_accelerators(lambda unit: dataclasses.replace(unit, holder=holder)).devices[0]
            for device in self.books.devices
        ]
        self._change(devices=tuple(held))
        return view.view(self.books)

    def _change(self, **values: Any) -> None:
        self.books = dataclasses.replace(self.books, generation=self.books.generation + 1, **values)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if self.away is not None:
            raise self.away


def only(device: inventory.Device) -> inventory.Host:
    return inventory.Host(name=HOST, devices=(device,))


@pytest.fixture
def conf(placement: PlacementFixture, tmp_path: Path) -> cfg.ConfigOpts:
    conf = new_config()
    conf([], default_config_files=[])
    placement.configure(conf)
    conf.set_override("nova_provider_config", str(tmp_path / "cyborg.yaml"), group="placement")
    return conf


@dataclasses.dataclass(kw_only=True)
class Rig:
    """An agent's round with everything around it."""

    placement: PlacementFixture
    conductor: MemoryConductor
    gpus: SettableDriver
    fpgas: SettableDriver
    reporter: Reporter


@pytest.fixture
def rig(placement: PlacementFixture, conf: cfg.ConfigOpts, tmp_path: Path) -> Rig:
    gpus, fpgas = SettableDriver(card("0000:01:00.0", *GPU)), SettableDriver(card("0000:02:00.0", *FPGA))
    conductor = MemoryConductor()
    reporter = Reporter(
        conf,
        HOST,
        [LoadedDriver(name="gpus", driver=gpus), LoadedDriver(name="fpgas", driver=fpgas)],
        Host(sysfs=tmp_path),
        conductor=conductor,
        publisher=Publisher(PlacementClient.from_conf(conf), conf),
    )
    return Rig(placement=placement, conductor=conductor, gpus=gpus, fpgas=fpgas, reporter=reporter)
