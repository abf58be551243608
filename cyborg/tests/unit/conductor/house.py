# SPDX-License-Identifier: Apache-2.0
"""Conductors without messages: their endpoints are called, their operations work, and hosts do what they are told.

with House(tmp_path, bind_wait=5) as house:
    one = house.conductor()                 # its operations work; any number, on one database
    house.host(one, can={"prepares"}, to_make=1)
    house.bind(one, house.request())
"""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from sqlalchemy import Row, select, update

from cyborg import conf as configuration
from cyborg import context
from cyborg.clients import nova
from cyborg.conductor.service import Conductor
from cyborg.domain import arq, inventory, profile, report
from cyborg.rpc import messaging
from cyborg.rpc.agent import FakeAgents
from cyborg.store import arqs, hosts, models, operations, schema
from cyborg.store.engine import Store
from cyborg.tests.simulation.in_process import DirectConductor
from cyborg.tests.waiting import until

HOST = "host-1"
CARD = "0000:3b:00.0"
PROVIDER = "b1a2e1c8-4c5b-4d3f-9a3e-2f0f4d0f3a11"
NOVA = context.RequestContext(user_id="nova", project_id="service", roles=["service"], from_service=True)

#: Makes a house, by the options of [conductor].
Make: TypeAlias = "Callable[..., House]"
Operation = Row[*tuple[Any, ...]]


class Client(DirectConductor):
    """``conductor`` is the one that it asks."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__(conductor.endpoints)
        self.conductor = conductor


class House:
    """``options`` are of [conductor]."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.conf = configuration.new_config()
        self.conf([], default_config_files=[])
        self.conf.set_override("transport_url", "fake://")
        self.conf.set_override("control_exchange", f"test-{uuid.uuid4()}")
        for name, value in ({"operation_interval": 1, "bind_wait": 10} | options).items():
            self.conf.set_override(name, value, "conductor")
        self.store = Store(f"sqlite:///{directory}/cyborg.db")
        schema.upgrade(self.store)
        self.agents = FakeAgents()
        self.nova = nova.FakeNova()
        self._working: list[Conductor] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.agents.gate.set()
        for one in self._working:
            one.operations.stop()
        self.store.dispose()

    def conductor(self, *, works: bool = True) -> Client:
        """One that answers; if it does not work, it is as one that dies after its answer."""
        made = Conductor(self.conf, self.store, messaging.get_transport(self.conf), self.nova, self.agents)
        if works:
            made.operations.start()
            self._working.append(made)
        return Client(made)

    def host(
        self, client: Client, name: str = HOST, *, can: Collection[str] = (), plain: int = 0, to_make: int = 0
    ) -> str:
        """A report of a host with one card of so many units; the digest of it."""
        units = [report.pci_accelerator(f"vf{number}", f"0000:3b:00.{number + 1}") for number in range(plain)]
        units += [
            report.Accelerator(key=f"vf{number}", type=report.HandleType.PCI, info={"parent": CARD})
            for number in range(plain, plain + to_make)
        ]
        part = report.Deployable(resource_class="PGPU", traits=frozenset({"CUSTOM_GPU"}), accelerators=tuple(units))
        card = report.Device(address=CARD, type=report.DeviceType.GPU, vendor="10de", model="26b9", deployables=(part,))
        seen = report.DeviceReport(
            host=name, driver="fake_driver", devices=(card,), capabilities=frozenset(map(str, can))
        )
        client.sync(name, PROVIDER, {seen.driver: seen.digest}, -1)
        client.report(seen)
        return seen.digest

    def request(self, count: int = 1, state: arq.State = arq.State.INITIAL) -> list[str]:
        group = profile.Group(resources={"CUSTOM_ACCELERATOR": 1})
        made = [
            arq.Arq(uuid=str(uuid.uuid4()), project_id="owner", state=state, profile_name="p", group_id=0, group=group)
            for _ in range(count)
        ]
        with self.store.transaction() as tx:
            arqs.create(tx, made)
        return [one.uuid for one in made]

    def bind(
        self,
        client: Client,
        uuids: Sequence[str],
        *,
        host: str = HOST,
        project: str | None = None,
        instance: str = "",
        caller: context.RequestContext = NOVA,
    ) -> str:
        instance = instance or str(uuid.uuid4())
        bindings = [
            arq.Binding(
                arq_uuid=one, hostname=host, device_rp_uuid=PROVIDER, instance_uuid=instance, project_id=project
            )
            for one in uuids
        ]
        client.bind(caller, bindings)
        return instance

    def get(self, *uuids: str) -> list[arq.Arq]:
        with self.store.reading() as tx:
            found = arqs.get(tx, uuids)
        return [found[one] for one in uuids]

    def states(self, *uuids: str) -> list[arq.State]:
        return [one.state for one in self.get(*uuids)]

    def load(self, name: str = HOST) -> inventory.Host:
        with self.store.transaction() as tx:
            found = hosts.load(tx, name)
        assert found is not None
        return found

    def units(self, name: str = HOST) -> list[str]:
        """The states of its accelerators."""
        return [str(device.state(unit)) for device, _, unit in self.load(name).units()]

    def operations(self) -> list[Operation]:
        """What is to be done, or was given up; the turns of periodic work are no operations."""
        with self.store.reading() as tx:
            rows = select(models.Operation).where(~models.Operation.kind.startswith(operations.TURN))
            return list(tx.execute(rows.order_by(models.Operation.id)).all())

    def change_operations(self, **values: Any) -> None:
        with self.store.transaction() as tx:
            tx.execute(update(models.Operation).values(values))

    def until_done(self) -> None:
        until("nothing is left to do", lambda: not [one for one in self.operations() if one.ended_at is None])

    def events(self) -> Mapping[str, bool]:
        """Whether it went well, by request, as Nova was told."""
        return {one.arq_uuid: one.completed for one in self.nova.sent}
