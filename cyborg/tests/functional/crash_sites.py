# SPDX-License-Identifier: Apache-2.0
"""Services that can be told where to die: in one process on SQLite, or each part by its command on real servers.

    with Standalone(directory) as site:
        site.arm("standalone", "rpc.received:2", log)
        ...                                     # use it until site.has_died
        site.revive()

The host has three GPUs in a recorded tree; one of them can be pulled out. Placement and Nova are not killed.
"""

import abc
import http.client
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from keystoneauth1 import loading

from cyborg import conf as configuration
from cyborg import crash
from cyborg.cmd import embedded_placement
from cyborg.drivers import recorded
from cyborg.placement.client import PlacementClient
from cyborg.store.engine import Store
from cyborg.tests.functional import processes, standalone
from cyborg.tests.functional.client import Client
from cyborg.tests.functional.deployment import clean_broker
from cyborg.tests.functional.fake_nova import FakeNova
from cyborg.tests.functional.standalone import until
from cyborg.tests.placement_fixture import PlacementFixture

HOST = "gpu-1"
GPU = {"vendor": 0x10DE, "device": 0x20F1, "class": 0x030200, "numa_node": 0, "driver": "vfio-pci"}
CARDS = 3
LOOSE = "0000:12:00.0"
CONDUCTOR = {"operation_lease": "5", "operation_interval": "1", "absence_limit": "100"}
NOTHING_TO_ARM = ""


class Site(abc.ABC):
    """``kinds`` of processes can be armed, one at a time."""

    kinds: tuple[str, ...]

    def __init__(self, directory: Path, *, cards: int = CARDS) -> None:
        self.directory = directory
        self.port = processes.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.tree = directory / "tree"
        addresses = [f"0000:{0x10 + number:02x}:00.0" for number in range(cards)]
        functions = {address: GPU | {"iommu_group": number} for number, address in enumerate(addresses)}
        recorded.materialise({"pci": functions}, self.tree)
        self._running: dict[str, processes.Process] = {}
        self._log: Path | None = None
        self._outside = ExitStack()

    def __enter__(self) -> Self:
        self.prepare()
        self.store = Store(self.database)
        self.placement = self._placement_client()
        for kind in self.kinds:
            self._start(kind, {})
        self._wait_ready()
        return self

    def __exit__(self, *_exc: object) -> None:
        for process in self._running.values():
            process.kill()
        self.store.dispose()
        self._outside.close()

    @property
    @abc.abstractmethod
    def database(self) -> str: ...

    @property
    @abc.abstractmethod
    def placement_url(self) -> str: ...

    @abc.abstractmethod
    def prepare(self) -> None:
        """Everything that is there before the first process."""

    @abc.abstractmethod
    def argv(self, kind: str) -> list[str]: ...

    @abc.abstractmethod
    def is_ready(self, kind: str, process: processes.Process) -> bool:
        """Whether a process that was started has come as far as serving."""

    def arm(self, kind: str, at: str, log: Path) -> None:
        """Start that kind anew, to die at the point; "" for the log only. It may die before it is ready."""
        self._running[kind].kill()
        self._log = log
        self._start(kind, {crash.AT: at, crash.LOG: str(log)})
        self._wait_ready()

    @property
    def has_died(self) -> bool:
        return self._log is not None and self._log.exists() and crash.DEATH in self._log.read_text(encoding="utf-8")

    def revive(self) -> None:
        """Start what does not run, and wait until all of it serves."""
        for kind in self.kinds:
            if not self._running[kind].runs:
                self._start(kind, {})
        self._wait_ready()

    def pull_out(self) -> None:
        self._slot.unlink(missing_ok=True)

    def put_back(self) -> None:
        if not self._slot.is_symlink():
            self._slot.symlink_to(f"../../../devices/pci0000:12/{LOOSE}")

    @contextmanager
    def client(self) -> Iterator[Client]:
        with Client(self.url) as client:
            yield client

    def output(self) -> str:
        return "\n".join(f"--- {process.name}\n{process.output[-4000:]}" for process in self._running.values())

    @property
    def _slot(self) -> Path:
        return self.tree / "sys/bus/pci/devices" / LOOSE

    def _start(self, kind: str, environment: Mapping[str, str]) -> None:
        without = {crash.AT: NOTHING_TO_ARM, crash.LOG: NOTHING_TO_ARM}
        process = processes.Process(kind, self.argv(kind), self.directory, without | dict(environment))
        self._running[kind] = process

    def _wait_ready(self) -> None:
        until("all are ready", lambda: self.has_died or all(map(self._is_ready, self.kinds)))

    def _is_ready(self, kind: str) -> bool:
        return self.is_ready(kind, self._running[kind])

    def api_answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _placement_client(self) -> PlacementClient:
        conf = configuration.new_config()
        conf([], default_config_files=[])
        conf.register_opts(loading.get_auth_plugin_conf_options("admin_token"), group="placement")
        for name, value in _admin_token(self.placement_url).items():
            conf.set_override(name, value, "placement")
        return PlacementClient.from_conf(conf)


class Standalone(Site):
    kinds = ("standalone",)

    @property
    def database(self) -> str:
        return f"sqlite:///{self.directory / 'state/cyborg.db'}"

    @property
    def placement_url(self) -> str:
        return f"{self.url}/placement"

    def prepare(self) -> None:
        (self.directory / "state").mkdir()
        _write(self.directory / "cyborg.conf", {"conductor": CONDUCTOR})

    def argv(self, kind: str) -> list[str]:
        return [
            *(sys.executable, "-c", standalone.START, "--config-file", str(self.directory / "cyborg.conf")),
            *("--state-dir", str(self.directory / "state"), "--port", str(self.port), "--interval", "1"),
            *("--drivers", standalone.GPU_DRIVER, "--simulated-host", f"{HOST}={self.tree}"),
        ]

    def is_ready(self, kind: str, process: processes.Process) -> bool:
        assert process.runs or self.has_died, process.output
        return "Ready:" in process.output


class Deployed(Site):
    """Real processes, a real database and a real broker; Placement and Nova are in the process of the test."""

    kinds = ("api", "conductor", "agent")
    READY: Mapping[str, str] = {"conductor": "Conductor started", "agent": "started."}

    def __init__(self, directory: Path, *, database: str, transport_url: str, cards: int = CARDS) -> None:
        super().__init__(directory, cards=cards)
        self._database = database
        self._transport_url = transport_url
        self._nova = FakeNova()
        self._placement = PlacementFixture()

    @property
    def database(self) -> str:
        return self._database

    @property
    def placement_url(self) -> str:
        return self._placement.url

    def prepare(self) -> None:
        self._outside.enter_context(self._placement)
        self._outside.enter_context(self._nova)
        self._placement.create_provider(HOST)
        exchange = f"cyborg-test-{uuid.uuid4().hex[:8]}"
        self._outside.callback(clean_broker, self._transport_url, exchange, [HOST])
        options: dict[str, dict[str, Any]] = {
            "DEFAULT": {
                "transport_url": self._transport_url,
                "control_exchange": exchange,
                "bind_timeout": 5,
                "periodic_interval": 1,
                "state_path": self.directory,
            },
            "api": {"auth_strategy": "noauth", "host_ip": "127.0.0.1", "port": self.port, "api_workers": 1},
            "agent": {
                "resource_provider_name": HOST,
                "enabled_drivers": standalone.GPU_DRIVER,
                **{f"{name}fs_root": self.tree / name for name in ("sys", "dev", "proc")},
            },
            "conductor": CONDUCTOR,
            "database": {"connection": self._database},
            "placement": _admin_token(self._placement.url),
            "nova": _admin_token(self._nova.url),
            "oslo_messaging_rabbit": {"rabbit_transient_queues_ttl": 60},
        }
        _write(self.directory / "cyborg.conf", options)
        upgrade = processes.Process("dbsync", [*self._command("cyborg-dbsync"), "upgrade"], self.directory)
        assert upgrade.wait_end() == 0, upgrade.output

    def argv(self, kind: str) -> list[str]:
        return self._command(f"cyborg-{kind}")

    def is_ready(self, kind: str, process: processes.Process) -> bool:
        assert process.runs, process.output
        if kind == "api":
            return self.api_answers()
        return self.READY[kind] in process.output

    def _command(self, name: str) -> list[str]:
        return processes.command(name, "--config-file", self.directory / "cyborg.conf")


def _admin_token(url: str) -> dict[str, str]:
    return {"auth_type": "admin_token", "endpoint": url, "token": embedded_placement.TOKEN}


def _write(path: Path, options: Mapping[str, Mapping[str, Any]]) -> None:
    lines: list[str] = []
    for group, values in options.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in values.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
