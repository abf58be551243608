# SPDX-License-Identifier: Apache-2.0
"""Services that can be told where to die: in one process on SQLite, or each part by its command on real servers.

    with Standalone(directory) as site:
        site.arm("standalone", "rpc.received:2", log)
        ...                                     # use it until site.has_died
        site.revive()

The host has three GPUs in a recorded tree, which are cleaned after each guest and one of which can be pulled out, and a
card that is made for a guest and taken back. Placement and Nova are not killed.
"""

import abc
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from cyborg import crash
from cyborg.store.engine import Store
from cyborg.tests.functional import fleet, processes, standalone
from cyborg.tests.functional.client import Client
from cyborg.tests.functional.deployment import clean_broker
from cyborg.tests.functional.fake_nova import FakeNova
from cyborg.tests.placement_fixture import PlacementFixture
from cyborg.tests.waiting import until

HOST = "gpu-1"
CARDS = 3
#: The GPUs, and what is made.
UNITS = CARDS + 1
MADE_TRAIT = "CUSTOM_FAKE_DEVICE"
DRIVERS = f"{standalone.GPU_DRIVER},fake_driver"
#: Everything has to be over in less time than callers and the harness have.
HOST_WORK: fleet.Options = {
    "agent": {"clean": "true", "enabled_drivers": DRIVERS, "host_work_timeout": 3},
    "conductor": {"bind_wait": 2},
    "fake_devices": {"accelerators": 1, "host_work": "prepare"},
}
NOTHING_TO_ARM = ""


class Site(abc.ABC):
    """``kinds`` of processes can be armed, one at a time."""

    kinds: tuple[str, ...]

    def __init__(self, directory: Path, *, cards: int = CARDS) -> None:
        self.directory = directory
        self.port = processes.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.machine = fleet.Machine(directory / "tree", cards)
        self._running: dict[str, processes.Process] = {}
        self._log: Path | None = None
        self._outside = ExitStack()

    def __enter__(self) -> Self:
        self.prepare()
        self.store = Store(self.database)
        self.placement = fleet.placement_client(self.placement_url)
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

    def disarm(self, kind: str) -> None:
        """Start that kind anew, not to die: it did not come to the point, and would in another life."""
        self._running[kind].kill()
        self._log = None
        self.revive()

    @property
    def has_died(self) -> bool:
        return self._log is not None and self._log.exists() and crash.DEATH in self._log.read_text(encoding="utf-8")

    def revive(self) -> None:
        """Start what does not run, and wait until all of it serves."""
        for kind in self.kinds:
            if not self._running[kind].runs:
                self._start(kind, {})
        self._wait_ready()

    @contextmanager
    def client(self) -> Iterator[Client]:
        with Client(self.url) as client:
            yield client

    def output(self) -> str:
        return "\n".join(f"--- {process.name}\n{process.output[-4000:]}" for process in self._running.values())

    def _start(self, kind: str, environment: Mapping[str, str]) -> None:
        without = {crash.AT: NOTHING_TO_ARM, crash.LOG: NOTHING_TO_ARM}
        process = processes.Process(kind, self.argv(kind), self.directory, without | dict(environment))
        self._running[kind] = process

    def _wait_ready(self) -> None:
        until("all are ready", lambda: self.has_died or all(map(self._is_ready, self.kinds)))

    def _is_ready(self, kind: str) -> bool:
        return self.is_ready(kind, self._running[kind])


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
        fleet.write(self.directory / "cyborg.conf", fleet.merged({"conductor": fleet.CONDUCTOR}, HOST_WORK))

    def argv(self, kind: str) -> list[str]:
        return processes.command(
            "cyborg-standalone",
            *("--config-file", self.directory / "cyborg.conf"),
            *("--state-dir", self.directory / "state", "--port", str(self.port), "--interval", "1"),
            *("--drivers", DRIVERS, "--simulated-host", f"{HOST}={self.machine.tree}"),
        )

    def is_ready(self, kind: str, process: processes.Process) -> bool:
        assert process.runs or self.has_died, process.output
        return "Ready:" in process.output


class Deployed(Site):
    """Real processes, a real database and a real broker; Placement and Nova are in the process of the test."""

    kinds = ("api", "conductor", "agent")

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
        outside = {"placement_url": self._placement.url, "nova_url": self._nova.url}
        common = fleet.common_options(self.directory, self._database, self._transport_url, exchange, **outside)
        ours: fleet.Options = {
            "api": {"port": self.port},
            "agent": {"resource_provider_name": HOST, **self.machine.roots},
        }
        fleet.write(self.directory / "cyborg.conf", fleet.merged(common, HOST_WORK, ours))
        upgrade = processes.Process("dbsync", [*self._command("cyborg-dbsync"), "upgrade"], self.directory)
        assert upgrade.wait_end() == 0, upgrade.output

    def argv(self, kind: str) -> list[str]:
        return self._command(f"cyborg-{kind}")

    def is_ready(self, kind: str, process: processes.Process) -> bool:
        assert process.runs, process.output
        if kind == "api":
            return fleet.answers(self.port)
        return fleet.READY[kind] in process.output

    def _command(self, name: str) -> list[str]:
        return processes.command(name, "--config-file", self.directory / "cyborg.conf")
