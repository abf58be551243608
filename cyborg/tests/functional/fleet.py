# SPDX-License-Identifier: Apache-2.0
"""As many APIs, conductors and agents as are wanted, each by its command, over one database and one broker.

    with Fleet(directory, database=url, transport_url=rabbit, cards={"gpu-1": 3}) as fleet:
        fleet.start("api-1", "api-2", "conductor-1", "agent-gpu-1")     # returns when all of them are ready
        Client(fleet.urls[0])
        fleet["conductor-1"].kill()
        fleet.start("conductor-1")

What follows the kind in a name tells processes of the kind apart; for an agent it is its host. Placement and Nova are
in the process of the test: ``fleet.nova`` and ``fleet.placement_server`` can be taken down and up.
"""

import contextlib
import http.client
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from keystoneauth1 import loading

from cyborg import conf as configuration
from cyborg.cmd import embedded_placement
from cyborg.domain import errors
from cyborg.drivers import recorded
from cyborg.placement.client import PlacementClient
from cyborg.store.engine import Store
from cyborg.tests.functional import books, processes, standalone
from cyborg.tests.functional.deployment import clean_broker
from cyborg.tests.functional.fake_nova import FakeNova
from cyborg.tests.placement_fixture import PlacementFixture
from cyborg.tests.waiting import until

GPU = {"vendor": 0x10DE, "device": 0x20F1, "class": 0x030200, "numa_node": 0, "driver": "vfio-pci"}
GPU |= {"reset_method": "flr"}
#: Seconds for which one of our processes waits for another.
BIND_TIMEOUT = 5
CONDUCTOR = {"operation_lease": "5", "operation_interval": "1", "absence_limit": "100"}
READY: Mapping[str, str] = {"conductor": "Conductor started", "agent": "started."}

Options = Mapping[str, Mapping[str, Any]]


class Machine:
    """A host with so many GPUs in a recorded tree; the last one of them can be pulled out."""

    def __init__(self, tree: Path, cards: int) -> None:
        self.tree = tree
        addresses = [f"0000:{0x10 + number:02x}:00.0" for number in range(cards)]
        recorded.materialise(
            {"pci": {address: GPU | {"iommu_group": number} for number, address in enumerate(addresses)}}, tree
        )
        self._slot = tree / "sys/bus/pci/devices" / addresses[-1]
        self._card = self._slot.readlink()

    @property
    def roots(self) -> dict[str, Path]:
        """The options of [agent] that make this the machine that is looked at."""
        return {f"{name}fs_root": self.tree / name for name in ("sys", "dev", "proc")}

    def pull_out(self) -> None:
        self._slot.unlink(missing_ok=True)

    def put_back(self) -> None:
        if not self._slot.is_symlink():
            self._slot.symlink_to(self._card)


class Fleet:
    """``cards`` says how many each host has; ``options`` add to what all processes are configured with."""

    def __init__(
        self,
        directory: Path,
        *,
        database: str,
        transport_url: str,
        cards: Mapping[str, int],
        options: Options | None = None,
    ) -> None:
        self.directory = directory
        self.cards = dict(cards)
        self.machines = {name: Machine(directory / name, count) for name, count in cards.items()}
        self._database = database
        self._transport_url = transport_url
        self._options = options or {}
        self._host_options: dict[str, Options] = {name: agent_of(name, one) for name, one in self.machines.items()}
        self._exchange = f"cyborg-test-{uuid.uuid4().hex[:8]}"
        self._running: dict[str, processes.Process] = {}
        self._ports: dict[str, int] = {}
        self._outside = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.nova = self._outside.enter_context(FakeNova())
        self.placement_server = self._outside.enter_context(PlacementFixture())
        self.placement = placement_client(self.placement_server.url)
        self.providers = {name: self.placement_server.create_provider(name) for name in self.cards}
        self._outside.callback(clean_broker, self._transport_url, self._exchange, self.cards)
        outside = {"placement_url": self.placement_server.url, "nova_url": self.nova.url}
        common = common_options(self.directory, self._database, self._transport_url, self._exchange, **outside)
        write(self.directory / "cyborg.conf", merged(common, self._options))
        upgrade = self.command("cyborg-dbsync", "upgrade")
        assert upgrade.wait_end() == 0, upgrade.output
        self.store = Store(self._database)
        self._outside.callback(self.store.dispose)
        return self

    def __exit__(self, *_exc: object) -> None:
        for process in self._running.values():
            process.kill()
        self._outside.close()

    def __getitem__(self, name: str) -> processes.Process:
        return self._running[name]

    @property
    def names(self) -> list[str]:
        """Of what was started, whether it runs or not."""
        return list(self._running)

    @property
    def urls(self) -> list[str]:
        """Of every API that was started."""
        return [f"http://127.0.0.1:{port}" for port in self._ports.values()]

    def add_host(self, name: str, cards: int, options: Options) -> None:
        """One more, whose agent has those options; it is to be started."""
        self.cards[name] = cards
        self.providers[name] = self.placement_server.create_provider(name)
        self._host_options[name] = merged({"agent": {"resource_provider_name": name}}, options)

    def start(self, *names: str) -> None:
        """Start those that do not run; returns when they are ready."""
        # An agent that asks before a conductor listens waits for a time-out.
        for agents in (False, True):
            some = [name for name in names if (kind_of(name) == "agent") is agents]
            started = [name for name in some if name not in self._running or not self[name].runs]
            for name in started:
                self._running[name] = self._start(name)
            for name in started:
                until(f"{name} is ready", lambda name=name: self._is_ready(name), patience=60)  # type: ignore[misc]

    def command(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> processes.Process:
        """One of the commands that end by themselves."""
        argv = processes.command(name, "--config-file", self.directory / "cyborg.conf", *arguments)
        return processes.Process(f"{name}-{uuid.uuid4().hex[:8]}", argv, self.directory, environment)

    @property
    def is_known(self) -> bool:
        """Whether every host has reported all of its cards."""
        with contextlib.suppress(errors.Unavailable):
            return all(len(list(books.load(self.store, name).units())) == count for name, count in self.cards.items())
        return False

    def problems(self) -> list[str]:
        return books.problems(self.store, self.placement, self.cards)

    def free(self) -> int:
        return sum(books.free(self.store, name) for name in self.cards)

    def output(self) -> str:
        return "\n".join(f"--- {name}\n{process.output}" for name, process in self._running.items())

    def _start(self, name: str) -> processes.Process:
        argv = processes.command(f"cyborg-{kind_of(name)}", "--config-file", self.directory / "cyborg.conf")
        own = self._own_options(name)
        if own:
            write(self.directory / f"{name}.conf", own)
            argv += ["--config-file", str(self.directory / f"{name}.conf")]
        return processes.Process(name, argv, self.directory)

    def _own_options(self, name: str) -> Options:
        if kind_of(name) == "api":
            return {"api": {"port": self._ports.setdefault(name, processes.free_port())}}
        if kind_of(name) == "agent":
            return self._host_options[name.removeprefix("agent-")]
        return {}

    def _is_ready(self, name: str) -> bool:
        process = self[name]
        assert process.runs, f"{name} ended:\n{process.output}"
        if kind_of(name) == "api":
            return answers(self._ports[name])
        return READY[kind_of(name)] in process.output


def agent_of(name: str, machine: Machine) -> Options:
    return {"agent": {"resource_provider_name": name, **machine.roots}}


def kind_of(name: str) -> str:
    return name.partition("-")[0]


def answers(port: int) -> bool:
    """Whether an API does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def common_options(
    directory: Path, database: str, transport_url: str, exchange: str, *, placement_url: str, nova_url: str
) -> Options:
    """What processes of all kinds are configured with: a service in a hurry, without Keystone."""
    return {
        "DEFAULT": {
            "transport_url": transport_url,
            "control_exchange": exchange,
            "bind_timeout": BIND_TIMEOUT,
            "periodic_interval": 1,
            "state_path": directory,
        },
        "api": {"auth_strategy": "noauth", "host_ip": "127.0.0.1", "api_workers": 1},
        # Recorded cards cannot be reset.
        "agent": {"enabled_drivers": standalone.GPU_DRIVER, "clean": "false"},
        "conductor": CONDUCTOR,
        "database": {"connection": database},
        "placement": admin_token(placement_url),
        "nova": admin_token(nova_url),
        "oslo_messaging_rabbit": {"rabbit_transient_queues_ttl": 60},
    }


def merged(*some: Options) -> Options:
    groups: Sequence[str] = list(dict.fromkeys(group for options in some for group in options))
    return {group: {name: value for one in some for name, value in one.get(group, {}).items()} for group in groups}


def admin_token(url: str) -> dict[str, str]:
    return {"auth_type": "admin_token", "endpoint": url, "token": embedded_placement.TOKEN}


def write(path: Path, options: Options) -> None:
    lines: list[str] = []
    for group, values in options.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in values.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def placement_client(url: str) -> PlacementClient:
    conf = configuration.new_config()
    conf([], default_config_files=[])
    conf.register_opts(loading.get_auth_plugin_conf_options("admin_token"), group="placement")
    for name, value in admin_token(url).items():
        conf.set_override(name, value, "placement")
    return PlacementClient.from_conf(conf)


def named(kind: str, count: int) -> Iterable[str]:
    """api-1, api-2 ..."""
    return [f"{kind}-{number}" for number in range(1, count + 1)]
