# SPDX-License-Identifier: Apache-2.0
"""The agent as a black box: it takes a recorded host for its machine, and reports what its options would show it.

Each host is seen twice: by a process of cyborg-agent whose /sys, by umockdev, is the host's, and by an agent whose
options name the host's directories. What the conductor then has in its books of the one must be what it has of the
other.
"""

import dataclasses
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from cyborg import conf as configuration
from cyborg.agent.service import Agent
from cyborg.clients import nova
from cyborg.cmd import embedded_placement, web
from cyborg.conductor.service import Conductor
from cyborg.domain import inventory
from cyborg.drivers import recorded
from cyborg.placement.client import PlacementClient
from cyborg.rpc import messaging
from cyborg.store import hosts, schema
from cyborg.store.engine import Store
from cyborg.tests.functional import umockdev
from cyborg.tests.functional.deployment import clean_broker, rabbitmq
from cyborg.tests.functional.processes import Process, command
from cyborg.tests.unit.drivers import builders, golden
from cyborg.tests.waiting import until

pytestmark = pytest.mark.servers

CASES = ("intel_fpga/dfl", "intel_qat/partitioned", "nvidia_gpu/mediated_devices", "xilinx_fpga/plain")
NEW_CARD = "0000:f0:00.0"
CONFIGURATION = """
[DEFAULT]
transport_url = {transport_url}
control_exchange = {exchange}
state_path = {directory}
# A report for each start and for each event, and none besides.
periodic_interval = 86400
[database]
connection = sqlite:///{directory}/cyborg.db
[placement]
auth_type = admin_token
token = admin
endpoint = {placement}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A conductor and a Placement, for agents that are on their own."""

    directory: Path
    configuration: Path
    conf: cfg.ConfigOpts
    store: Store

    @contextmanager
    def agent(self, name: str, case: str, tree: Path) -> Iterator[Process]:
        """cyborg-agent on a machine whose /sys is in the tree."""
        argv = command("cyborg-agent", *self._files(name, case))
        with Process(name, argv, self.directory, umockdev.environment(tree)) as process:
            yield process

    def report_by_options(self, name: str, case: str, tree: Path) -> None:
        """One report of an agent that is told where the tree is."""
        roots = {f"{root}fs_root": tree / root for root in ("sys", "dev", "proc")}
        conf = configuration.load(self._files(name, case, roots), prog="cyborg-agent")
        agent = Agent(conf, messaging.get_transport(conf))
        agent.start()
        try:
            until(f"{name} is in the books", lambda: self.books(name) is not None)
        finally:
            agent.stop()

    def books(self, name: str) -> list[dict[str, Any]] | None:
        """The devices of a host without what every host has for itself; None before it has reported."""
        with self.store.transaction() as tx:
            host = hosts.load(tx, name)
        return [_comparable(device) for device in host.devices] if host and host.devices else None

    def _files(self, name: str, case: str, agent: Mapping[str, Any] | None = None) -> list[str]:
        """The options of a golden host as an operator has them."""
        family, options = golden.family_of(case), golden.recording(case).get("options", {})
        groups: dict[str, Mapping[str, Any]] = {
            # By default nothing is cleaned in a tree of files.
            "agent": {
                "enabled_drivers": f"{family}_driver",
                "resource_provider_name": name,
                "clean": True,
                **(agent or {}),
            },
            **{group: values for group, values in options.items() if isinstance(values, dict)},
            str(builders.group_of(family)): {key: one for key, one in options.items() if not isinstance(one, dict)},
        }
        file = self.directory / f"{name}.conf"
        file.write_text("".join(_section(group, values) for group, values in groups.items()), encoding="utf-8")
        return [f"--config-file={self.configuration}", f"--config-file={file}"]


def _section(group: str, values: Mapping[str, Any]) -> str:
    lines = [f"{name} = {','.join(one) if isinstance(one, list) else one}" for name, one in values.items()]
    return "\n".join([f"[{group}]", *lines, ""])


def _comparable(device: inventory.Device) -> dict[str, Any]:
    """Without numbers of rows, uuids that were made up, names that have the host's in them, and times."""
    parts = [
        dataclasses.replace(
            part,
            id=None,
            uuid="",
            name="",
            accelerators=tuple(dataclasses.replace(unit, id=None, uuid="") for unit in part.accelerators),
        )
        for part in device.deployables
    ]
    plain = dataclasses.replace(device, id=None, uuid="", health_history=None, deployables=tuple(parts))
    return dataclasses.asdict(plain)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    directory = tmp_path_factory.mktemp("black_box")
    umockdev.environment(directory)
    transport_url, exchange = rabbitmq(), f"cyborg-test-{uuid.uuid4().hex[:8]}"
    with ExitStack() as undo:
        placement = web.WebServer(embedded_placement.build(directory, durable=False), web.listen("127.0.0.1", 0))
        placement.start()
        undo.callback(placement.stop)
        file = directory / "cyborg.conf"
        values = {"transport_url": transport_url, "exchange": exchange, "directory": directory}
        file.write_text(
            CONFIGURATION.format(placement=f"http://127.0.0.1:{placement.port}", **values), encoding="utf-8"
        )
        conf = configuration.load([f"--config-file={file}"], prog="cyborg-conductor")
        store = Store.from_conf(conf)
        undo.callback(store.dispose)
        schema.upgrade(store)
        names = [f"{golden.family_of(case)}-{way}" for case in CASES for way in ("box", "roots")]
        client = PlacementClient.from_conf(conf)
        for name in [*names, "plugged"]:
            client.post("/resource_providers", {"name": name})
        conductor = Conductor(conf, store, messaging.get_transport(conf), nova.NoNova())
        undo.callback(clean_broker, transport_url, exchange, [*names, "plugged"])
        conductor.start()
        undo.callback(conductor.stop)
        yield Cloud(directory=directory, configuration=file, conf=conf, store=store)


@pytest.mark.parametrize("case", CASES)
def test_an_agent_reports_of_its_machine_what_options_would_show_it(cloud: Cloud, case: str, tmp_path: Path) -> None:
    family = golden.family_of(case)
    recorded.materialise(golden.recording(case), tmp_path)
    with cloud.agent(f"{family}-box", case, tmp_path) as agent:
        cloud.report_by_options(f"{family}-roots", case, tmp_path)
        until(f"{family}-box is in the books", lambda: cloud.books(f"{family}-box") is not None or not agent.runs)
        assert agent.runs, agent.output

    found = cloud.books(f"{family}-box") or []
    assert [one["address"] for one in found] == [one["address"] for one in golden.report(case)["devices"]]
    assert found == cloud.books(f"{family}-roots")


def test_a_card_that_is_plugged_in_is_reported_at_once(cloud: Cloud, tmp_path: Path) -> None:
    """The period is a day."""
    case = "xilinx_fpga/plain"
    data = golden.recording(case)
    recorded.materialise(data, tmp_path)

    def addresses() -> set[str]:
        return {device["address"] for device in cloud.books("plugged") or ()}

    with cloud.agent("plugged", case, tmp_path):
        until("the host is in the books", lambda: bool(addresses()))
        until("the agent waits for events", lambda: umockdev.listens(tmp_path))
        before = addresses()
        place = "0000:17:00.1"
        _plug(tmp_path, data["pci"][place])
        umockdev.tell(tmp_path, "add", f"/devices/pci0000:f0/{NEW_CARD}", "pci")
        until("the new card is in the books", lambda: NEW_CARD in addresses())
        assert addresses() == before | {NEW_CARD}


def _plug(tree: Path, files: Mapping[str, Any]) -> None:
    """One more function, made beside and put in place at once."""
    spare = tree / "spare"
    recorded.materialise({"pci": {NEW_CARD: files}}, spare)
    bus = Path("sys/devices") / f"pci{NEW_CARD[:7]}"
    (tree / bus).parent.mkdir(parents=True, exist_ok=True)
    (spare / bus).rename(tree / bus)
    (spare / "sys/bus/pci/devices" / NEW_CARD).rename(tree / "sys/bus/pci/devices" / NEW_CARD)
