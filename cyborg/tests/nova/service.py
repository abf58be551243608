# SPDX-License-Identifier: Apache-2.0
"""Our own processes beside the real Nova: API, conductor, and an agent for each compute host.

A host has GPUS cards in a recorded tree, whole and handed out as PCI devices, and one FPGA of the default driver with
FPGA_UNITS accelerators: two kinds that share the class CUSTOM_ACCELERATOR and are told apart by their traits.
"""

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from cyborg.drivers import recorded
from cyborg.tests.functional import processes
from cyborg.tests.nova import settings
from cyborg.tests.nova.programs import Command, Programs

GPU_TRAIT = "CUSTOM_GPU_NVIDIA"
FPGA_TRAIT = "CUSTOM_FPGA"
GPUS = ("0000:10:00.0", "0000:11:00.0")
FPGA_UNITS = 2
CARD = {
    "vendor": 0x10DE,
    "device": 0x20F1,
    "class": 0x030200,
    "numa_node": 0,
    "driver": "vfio-pci",
    "reset_method": "flr",
}


class Service:
    """``provider_configs`` names, for each host, the directory that its nova-compute reads."""

    def __init__(
        self,
        directory: Path,
        programs: Programs,
        *,
        auth_url: str,
        transport_url: str,
        database: str,
        provider_configs: Mapping[str, Path],
        layout: str,
    ) -> None:
        self._directory = directory
        self._programs = programs
        self.hosts = list(provider_configs)
        self.layout = layout
        port = processes.free_port()
        self.url = f"http://127.0.0.1:{port}/v2"
        options = settings.ours(directory, auth_url=auth_url, transport_url=transport_url, database=database, port=port)
        self._conf = settings.write(directory / "cyborg.conf", options)
        programs.define("cyborg-api", Command(argv=self._command("cyborg-api")))
        programs.define("cyborg-conductor", Command(argv=self._command("cyborg-conductor"), ready="Conductor started"))
        for host, provider_config in provider_configs.items():
            self._define_agent(host, provider_config)

    def make(self) -> None:
        made = self.run("cyborg-dbsync", "upgrade")
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        """Everything but the agents."""
        self._programs.start("cyborg-conductor", "cyborg-api")

    def agents(self) -> Iterable[str]:
        return [f"cyborg-agent-{host}" for host in self.hosts]

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the commands that end by themselves."""
        return subprocess.run(
            [*self._command(name), *arguments], capture_output=True, text=True, check=False, cwd=self._directory
        )

    def _define_agent(self, host: str, provider_config: Path) -> None:
        own = self._directory / f"agent-{host}"
        own.mkdir()
        tree = own / "tree"
        cards = {address: CARD | {"iommu_group": number} for number, address in enumerate(GPUS)}
        recorded.materialise({"pci": cards}, tree)
        options = settings.our_host(
            own, host, tree=tree, provider_config=provider_config, layout=self.layout, units=FPGA_UNITS
        )
        conf = settings.write(own / "agent.conf", options)
        argv = [*self._command("cyborg-agent"), "--config-file", str(conf)]
        self._programs.define(f"cyborg-agent-{host}", Command(argv=argv, ready=f"Agent of host {host} started."))

    def _command(self, name: str) -> list[str]:
        return processes.command(name, "--config-file", self._conf)
