# SPDX-License-Identifier: Apache-2.0
"""The service as it is deployed: every process by its command, one configuration, real servers around it.

    with Deployment(directory, identity, database=url, transport_url=rabbit, port=port) as deployment:
        deployment.run()                        # schema, conductors, API, agents; returns when all are ready
        deployment["conductor-1"].kill()
        deployment.run()                        # starts what does not run

Two hosts: GPU_HOST has two GPUs and one other PCI card in a recorded tree, FAKE_HOST what the default driver makes up.
"""

import http.client
import os
import subprocess
import uuid
from collections.abc import Iterable
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Any, Self

import pytest
import yaml
from kombu import connection

from cyborg.drivers import recorded
from cyborg.tests.functional import keystone_fixture, processes
from cyborg.tests.waiting import until

CONFIGURATION = Path(__file__).parent / "upstream.conf.in"
RABBITMQ = "CYBORG_TEST_RABBITMQ"
GPU = {"vendor": 0x10DE, "device": 0x20F1, "class": 0x030200, "numa_node": 0, "driver": "vfio-pci"}
OTHER = {"vendor": 0x1D0F, "device": 0xF010, "class": 0x120000, "driver": "vfio-pci", "iommu_group": 9}
FUNCTIONS = {
    "0000:10:00.0": GPU | {"iommu_group": 1},
    "0000:11:00.0": GPU | {"iommu_group": 2},
    "0000:20:00.0": OTHER,
}
CONDUCTORS = ("conductor-1", "conductor-2")
AGENTS = ("agent-gpu", "agent-fake")
SAY_WHEN_READY = dict.fromkeys(CONDUCTORS, "Conductor started") | dict.fromkeys(AGENTS, "started.")
PLACEMENT = {"endpoint_filter": {"service_type": "placement"}, "microversion": "1.39"}


def rabbitmq() -> str:
    """The URL of a broker; skips, or fails, when there is none."""
    url = os.environ.get(RABBITMQ)
    if not url:
        complain = pytest.fail if os.environ.get("CYBORG_TEST_REQUIRE_SERVERS") == "1" else pytest.skip
        complain(f"{RABBITMQ} does not name a server")
    return str(url)


def clean_broker(transport_url: str, exchange: str, agents: Iterable[str]) -> None:
    """Queues with a time to live go by themselves; those of topics stay, by oslo.messaging's choice."""
    hosts = {"conductor": [os.uname().nodename], "agent": agents}
    url = transport_url.replace("rabbit://", "amqp://", 1)
    # A broker that does not answer is to be seen, not waited for.
    with connection.Connection(url, transport_options={"read_timeout": 60, "write_timeout": 60}) as broker:
        channel = broker.channel()
        for topic, names in hosts.items():
            queue = f"{exchange}-{topic}"
            for name in (queue, *(f"{queue}.{host}" for host in names)):
                channel.queue_delete(name)
            channel.exchange_delete(f"{queue}_fanout")
        channel.exchange_delete(exchange)


class Deployment:
    """What it writes lies under ``directory``; what it leaves in the broker it removes."""

    def __init__(
        self, directory: Path, identity: keystone_fixture.Identity, *, database: str, transport_url: str, port: int
    ) -> None:
        self._directory = directory
        self._identity = identity
        self._transport_url = transport_url
        self._port = port
        self._processes: dict[str, processes.Process] = {}
        self.exchange = f"cyborg-test-{uuid.uuid4().hex[:8]}"
        self.gpu_host = f"gpu-{self.exchange}"
        self.fake_host = f"fake-{self.exchange}"
        self.configuration = self._write(
            "cyborg.conf",
            Template(CONFIGURATION.read_text(encoding="utf-8")).substitute(
                transport_url=transport_url,
                exchange=self.exchange,
                database=database,
                port=port,
                state_path=directory,
                auth_url=identity.url,
                password=keystone_fixture.PASSWORD,
            ),
        )
        self._host_files = {
            "agent-gpu": self._write("gpu.conf", self._gpu_host_options()),
            "agent-fake": self._write(
                "fake.conf",
                f"[DEFAULT]\nhost = {self.fake_host}\n[agent]\nenabled_drivers = fake_driver\n",
            ),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.kill()
        clean_broker(self._transport_url, self.exchange, [self.gpu_host, self.fake_host])

    def __getitem__(self, name: str) -> processes.Process:
        return self._processes[name]

    @property
    def names(self) -> list[str]:
        return list(self._processes)

    @property
    def port(self) -> int:
        return self._port

    def command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the commands that end by themselves."""
        argv = processes.command(name, "--config-file", self.configuration, *arguments)
        return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=self._directory)

    def prepare(self) -> None:
        """What the operator and nova-compute do before: the schema, and the providers of the compute nodes."""
        upgraded = self.command("cyborg-dbsync", "upgrade")
        assert upgraded.returncode == 0, upgraded.stderr
        for host in (self.gpu_host, self.fake_host):
            self.nova.post("/resource_providers", json={"name": host}, **PLACEMENT)

    def run(self) -> None:
        """Start what does not run; returns when all of it is ready."""
        # An agent that asks before a conductor listens waits for a time-out.
        for names in (("api", *CONDUCTORS), AGENTS):
            started = [name for name in names if not self._runs(name)]
            for name in started:
                self._processes[name] = self._start(name)
            for name in started:
                if name in SAY_WHEN_READY:
                    self[name].wait_for(SAY_WHEN_READY[name])
        until("the API answers", self._api_answers)

    def output(self) -> str:
        return "\n".join(f"--- {process.name}\n{process.output}" for process in self._processes.values())

    # Placement, with Nova's eyes.

    @property
    def nova(self) -> Any:
        return self._identity.session("nova", "service")

    def provider(self, host: str) -> str:
        found = self.nova.get(f"/resource_providers?name={host}", **PLACEMENT).json()
        return str(found["resource_providers"][0]["uuid"])

    def _runs(self, name: str) -> bool:
        return name in self._processes and self[name].runs

    def _start(self, name: str) -> processes.Process:
        program = f"cyborg-{name.partition('-')[0]}"
        arguments: list[str | Path] = ["--config-file", self.configuration]
        if name in self._host_files:
            arguments += ["--config-file", self._host_files[name]]
        return processes.Process(name, processes.command(program, *arguments), self._directory)

    def _api_answers(self) -> bool:
        assert self["api"].runs, self["api"].output
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _write(self, name: str, text: str) -> Path:
        path = self._directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def _gpu_host_options(self) -> str:
        recording = self._write("host.yaml", yaml.safe_dump({"pci": FUNCTIONS}))
        tree = self._directory / "host"
        recorded.materialise(recording, tree)
        roots = "".join(f"{name}fs_root = {tree / name}\n" for name in ("sys", "dev", "proc"))
        return f"[agent]\nresource_provider_name = {self.gpu_host}\n{roots}"
