# SPDX-License-Identifier: Apache-2.0
"""The whole service for tests: in this process, where its parts can be looked at, or in one that can be killed.

with in_process(tmp_path, {"gpu-1": gpu_host(tmp_path / "gpu-1.yaml", cards=2)}) as running:
    running.client.list("devices")
    running.service.store.statements

with Process(tmp_path / "state", "--drivers", "fake_driver") as process:
    Client(process.wait_ready())
    process.kill()
"""

import os
import re
import signal
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from oslo_config import cfg
from sqlalchemy import func, select

from cyborg.cmd import standalone
from cyborg.cmd.standalone import Standalone
from cyborg.domain.view import GENERIC_CLASS
from cyborg.store import models, operations
from cyborg.store.engine import Store
from cyborg.tests.functional import forks
from cyborg.tests.functional.client import Client
from cyborg.tests.waiting import until

GPU_DRIVER = "nvidia_gpu_driver"
GPU_TRAIT = "CUSTOM_GPU_NVIDIA"
#: So long that nothing happens by itself.
NEVER = "86400"
PATIENCE = 30.0
READY = re.compile(r"^Ready: accelerator API (http://[^ /]+)/v2, Placement (\S+), hosts: (.+)$", re.MULTILINE)


def gpu_host(path: Path, *, cards: int) -> Path:
    """A recording, written to ``path``, of a host with so many whole GPUs of one kind."""
    card = {"vendor": 0x10DE, "device": 0x20F1, "class": 0x030200, "numa_node": 0, "driver": "vfio-pci"}
    functions = {f"0000:{0x10 + number:02x}:00.0": card | {"iommu_group": number} for number in range(cards)}
    path.write_text(yaml.safe_dump({"pci": functions}), encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """``observer`` reads the same database, and its statements are not counted by the service's store."""

    conf: cfg.ConfigOpts
    service: Standalone
    client: Client
    observer: Store

    def provider(self, host: str) -> str:
        return shown(self.client, host).provider

    def settle(self) -> None:
        """Wait until what a request left to do is done: events told, views published."""
        until("no operation is waiting", lambda: not self._waiting())

    def _waiting(self) -> int:
        """Operations that end; the turns of periodic work are rows that stay, and what was given up is kept."""
        ending = (~models.Operation.kind.startswith(operations.TURN), models.Operation.ended_at.is_(None))
        with self.observer.reading() as tx:
            statement = select(func.count()).select_from(models.Operation).where(*ending)
            return int(tx.execute(statement).scalar_one())

    def rows(self) -> dict[str, int]:
        """How many there are, by table."""
        with self.observer.reading() as tx:
            return {
                table.name: tx.execute(select(func.count()).select_from(table)).scalar_one()
                for table in models.Base.metadata.sorted_tables
            }


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What Placement shows of a host: total and reserved of the generic class, and the traits of our kind."""

    provider: str
    amount: tuple[int, int]
    traits: frozenset[str]


def shown(client: Client, host: str) -> Shown:
    """As Placement answers on the way that leads through the service."""

    def ask(path: str) -> Any:
        headers = {"OpenStack-API-Version": "placement 1.39"}
        return client.call("GET", f"/placement/resource_providers{path}", headers=headers).expect(200).json

    (provider,) = ask(f"?name={host}")["resource_providers"]
    inventory = ask(f"/{provider['uuid']}/inventories")["inventories"].get(GENERIC_CLASS, {"total": 0, "reserved": 0})
    traits = ask(f"/{provider['uuid']}/traits")["traits"]
    return Shown(
        provider=provider["uuid"],
        amount=(inventory["total"], inventory["reserved"]),
        traits=frozenset(trait for trait in traits if trait.startswith("CUSTOM_")),
    )


@contextmanager
def in_process(
    directory: Path,
    hosts: Mapping[str, Path],
    *,
    drivers: Sequence[str] = (GPU_DRIVER,),
    database: str | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    config: str = "",
) -> Iterator[Running]:
    """A service over simulated hosts that reports once, at its start; ``database`` is the URL of another one.

    ``config`` is the text of a configuration file, where options of drivers can be said.
    """
    file = directory / "cyborg.conf"
    file.write_text(config, encoding="utf-8")
    argv = ["--state-dir", str(directory / "state"), "--port", "0", "--interval", NEVER]
    argv += ["--drivers", ",".join(drivers), "--config-file", str(file)]
    for name, path in hosts.items():
        argv += ["--simulated-host", f"{name}={path}"]
    conf = standalone.configure(argv)
    # In-process messaging is one for the whole process; each service has an exchange of its own.
    conf.set_override("control_exchange", f"test-{uuid.uuid4()}")
    conf.set_override("operation_interval", int(NEVER), "conductor")
    conf.set_override("host_down_after", int(NEVER), "api")  # they report once
    conf.set_override("audit_interval", 0, "conductor")  # it notes its outcome
    if database is not None:
        conf.set_override("connection", database, "database")
    for group, values in (options or {}).items():
        for name, value in values.items():
            conf.set_override(name, value, group)
    (directory / "state").mkdir(exist_ok=True)
    service = Standalone(conf, standalone.parse_hosts(conf))
    try:
        service.start()
        observer = Store(conf.database.connection)
        try:
            with Client(service.url) as client:
                yield Running(conf=conf, service=service, client=client, observer=observer)
        finally:
            observer.dispose()
    finally:
        service.stop()


class Process:
    """``cyborg-standalone`` as a process of its own, on a free port; ended, if need be by force, with the block."""

    def __init__(
        self,
        state: Path,
        *arguments: str,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        forked: bool = True,
    ) -> None:
        self.state = state
        state.mkdir(parents=True, exist_ok=True)
        if not any(argument.startswith("--config-file") for argument in arguments):
            arguments = ("--config-file", os.devnull, *arguments)  # not what this machine happens to have
        self._log = state / f"log-{uuid.uuid4().hex[:8]}"
        self.started_at = time.monotonic()
        argv = [forks.script("cyborg-standalone"), "--state-dir", str(state), "--port", str(port), *arguments]
        self._process = forks.start(argv, self._log, Path.cwd(), environment or {}, forked=forked)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()
        if error is not None:
            print(self.output)

    @property
    def output(self) -> str:
        """All it said so far."""
        return self._log.read_text(encoding="utf-8")

    def wait_ready(self) -> str:
        """The URL under which both services are; AssertionError if the process ends first."""

        def ready() -> bool:
            assert self._process.poll() is None, f"it ended with {self._process.returncode}"
            return READY.search(self.output) is not None

        until("it is ready", ready)
        found = READY.search(self.output)
        assert found is not None
        return found[1]

    def wait_end(self, *, patience: float = PATIENCE) -> int:
        """Its exit status."""
        return self._process.wait(patience)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self._process.send_signal(number)
        return self.wait_end()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
