# SPDX-License-Identifier: Apache-2.0
"""The service, its agents and Placement, all called in this thread; nothing happens unless somebody is told to."""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import webob
from oslo_config import cfg

from cyborg import conf as configuration
from cyborg.api import app
from cyborg.clients import nova
from cyborg.cmd import embedded_placement
from cyborg.conductor.service import Conductor
from cyborg.domain import inventory
from cyborg.domain.shape import Shape
from cyborg.domain.view import HostView
from cyborg.placement.client import PlacementClient
from cyborg.placement.providers import Providers
from cyborg.placement.publisher import Publisher
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.store import hosts, schema
from cyborg.store.engine import Store
from cyborg.tests.nova_compute import NovaCompute
from cyborg.tests.placement_fixture import Outsider
from cyborg.tests.simulation import in_process
from cyborg.tests.simulation.hardware import DRIVER, Machine

CORES = 64
NO_VIEW = -1


class Agent:
    """`report` is a round of the periodic kind, `catch_up` what a newer view from the conductor makes it do.

    ``nova`` is the nova-compute beside it, where there is one.
    """

    def __init__(
        self,
        machine: Machine,
        provider: str,
        wish: Shape,
        *,
        conductor: ConductorClient,
        make_publisher: Callable[[], Publisher],
        nova: NovaCompute | None,
    ) -> None:
        self.machine = machine
        self.provider = provider
        self.nova = nova
        self._conductor = conductor
        self._make_publisher = make_publisher
        self._wish = wish
        self.restart()

    def restart(self) -> None:
        """What it knew is forgotten."""
        self._publisher = self._make_publisher()
        self._view: HostView | None = None

    def report(self) -> None:
        seen = self.machine.look()
        if self._sync({DRIVER: seen.digest}):
            self._view = self._conductor.report(seen)
        self._publish()

    def catch_up(self) -> None:
        self._sync({DRIVER: ""})
        self._publish()

    def _sync(self, digests: dict[str, str]) -> Sequence[str]:
        generation = NO_VIEW if self._view is None else self._view.generation
        answer = self._conductor.sync(self.machine.name, self.provider, digests, generation, wish=self._wish)
        self._view = answer.view or self._view
        return answer.stale

    def _publish(self) -> None:
        if self._view is not None:
            self._publisher.publish(self._view)


class Cloud:
    def __init__(
        self, conf: cfg.ConfigOpts, store: Store, placement: PlacementClient, api: app.Application, agents: list[Agent]
    ) -> None:
        self.conf = conf
        self.store = store
        self.placement = placement
        self.shown = Providers(placement)
        self.agents = {agent.machine.name: agent for agent in agents}
        self.by_provider = {agent.provider: agent for agent in agents}
        self._api = api

    def call(self, method: str, path: str, body: Any = None, *, newest: bool = False) -> webob.Response:
        """As a service that acts for an administrator; at the oldest microversion unless the newest is asked for."""
        request = webob.Request.blank(f"/v2{path}", method=method)
        request.headers.update({"X-Auth-Token": "admin", "X-Service-Token": "nova"})
        if newest:
            request.headers["OpenStack-API-Version"] = "accelerator latest"
        if body is not None:
            request.content_type = "application/json"
            request.body = json.dumps(body).encode()
        return request.get_response(self._api)

    def host(self, name: str) -> inventory.Host:
        with self.store.transaction() as tx:
            found = hosts.load(tx, name)
        assert found is not None
        return found


@contextmanager
def running(
    directory: Path, shape: Shape, machines: Sequence[Machine], *, nova_managed: bool = False
) -> Iterator[Cloud]:
    """Every host has reported once. Where nova-compute manages the providers, every other one shows our classes."""
    conf = _configuration(shape)
    store = Store(f"sqlite:///{directory}/cyborg.sqlite", sqlite_synchronous=False)
    schema.upgrade(store)
    conductor = Conductor(conf, store, messaging.get_transport(conf), nova.NoNova())
    client = in_process.DirectConductor(conductor.endpoints)
    application = embedded_placement.build(directory, durable=False)
    placement = in_process.placement(application)
    agents = []
    for machine in machines:
        provider = str(uuid.uuid5(uuid.NAMESPACE_OID, machine.name))
        outsider = Outsider(application)
        outsider.create_provider(machine.name, uuid=provider, inventories=resources(CORES))
        files = directory / machine.name
        agents.append(
            Agent(
                machine,
                provider,
                shape,
                conductor=client,
                make_publisher=partial(Publisher, placement, _configuration(shape, files)),
                nova=_nova_compute(outsider, provider, files) if nova_managed else None,
            )
        )
    cloud = Cloud(conf, store, placement, app.load(conf, store, client), agents)
    for agent in agents:
        agent.report()
    for agent in agents[1::2]:
        if agent.nova is not None:
            agent.nova.start()
            agent.report()
    try:
        yield cloud
    finally:
        store.dispose()


def resources(cores: int) -> dict[str, dict[str, int]]:
    """What Nova shows of a host, without what others add."""
    return {"VCPU": {"total": cores}}


def _nova_compute(outsider: Outsider, provider: str, files: Path) -> NovaCompute:
    files.mkdir()
    found = NovaCompute(outsider, provider, files, resources(CORES))
    found.start()
    return found


def _configuration(shape: Shape, files: Path | None = None) -> cfg.ConfigOpts:
    """``files`` is the directory of the host's provider config file, for its agent."""
    conf = configuration.new_config()
    conf([], default_config_files=[])
    overrides: dict[str, dict[str, Any]] = {
        "DEFAULT": {"transport_url": "fake://", "control_exchange": f"simulation-{uuid.uuid4()}"},
        # Agents report when they are told to, however long that takes.
        "api": {"auth_strategy": "noauth", "host_down_after": 7 * 24 * 3600},
        # Months of failures pass within an hour here.
        "conductor": {"health_failures": 0},
        "placement": {"provider_layout": str(shape.layout), "provider_grace_time": 0},
    }
    if files is not None:
        overrides["placement"]["nova_provider_config"] = str(files / "cyborg.yaml")
    for group, values in overrides.items():
        for name, value in values.items():
            conf.set_override(name, value, group=None if group == "DEFAULT" else group)
    return conf
