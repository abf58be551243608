# SPDX-License-Identifier: Apache-2.0
"""The real Nova: API, scheduler, conductor, and a nova-compute for each host, in a virtual environment of their own.

nova = Nova(directory, programs, environment, settings)
nova.make()             # the databases and the cell
nova.start()
"""

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from cyborg.tests.functional import processes
from cyborg.tests.nova import settings
from cyborg.tests.nova.programs import Command, Programs, until

#: The virtual environment; tests of this directory are collected only where it is named.
VARIABLE = "CYBORG_TEST_NOVA"
INSIDE = Path(__file__).parent / "inside"
SERVICES = ("nova-conductor", "nova-scheduler")


class Nova:
    """``databases`` has the URLs of three empty ones: ``api``, ``cell0`` and ``cell``."""

    def __init__(
        self,
        directory: Path,
        programs: Programs,
        *,
        auth_url: str,
        transport_url: str,
        databases: Mapping[str, str],
        hosts: Iterable[str],
    ) -> None:
        self._directory = directory
        self._programs = programs
        self._databases = databases
        self._environment = Path(os.environ[VARIABLE])
        self.port = processes.free_port()
        options = settings.nova(directory, auth_url=auth_url, transport_url=transport_url, databases=databases)
        self._conf = settings.write(directory / "nova.conf", options)
        for service in SERVICES:
            programs.define(service, Command(argv=self._command(service)))
        paste = self._environment / "etc" / "nova" / "api-paste.ini"
        programs.define(
            "nova-api",
            Command(
                argv=[self._program("python"), "-P", str(INSIDE / "api.py"), str(self.port)],
                environment={"OS_NOVA_CONFIG_FILES": f"{paste};{self._conf}"},
            ),
        )
        for host in hosts:
            self._define_host(host)

    @property
    def url(self) -> str:
        """The endpoint for the catalog."""
        return f"http://127.0.0.1:{self.port}/v2.1"

    def make(self) -> None:
        """The schema of the databases, and the cell."""
        self._manage("api_db", "sync")
        self._manage("cell_v2", "map_cell0", "--database_connection", self._databases["cell0"])
        self._manage("cell_v2", "create_cell", "--name", "cell1")
        self._manage("db", "sync")

    def start(self) -> None:
        """Everything but the hosts."""
        self._programs.start("nova-api", *SERVICES)
        until("nova-api listens", lambda: processes.listens(self.port))

    def audit(self) -> subprocess.CompletedProcess[str]:
        """``nova-manage placement audit``."""
        return self._run(*self._command("nova-manage"), "placement", "audit", "--verbose")

    def _define_host(self, name: str) -> None:
        own = self.directory_of(name)
        for directory in (own, own / "instances", own / "provider_config"):
            directory.mkdir()
        conf = settings.write(own / "nova.conf", settings.nova_host(own, name))
        argv = [self._program("python"), "-P", str(INSIDE / "compute.py")]
        argv += ["--config-file", str(self._conf), "--config-file", str(conf)]
        self._programs.define(f"nova-compute-{name}", Command(argv=argv))

    def directory_of(self, host: str) -> Path:
        return self._directory / host

    def _manage(self, *arguments: str) -> None:
        done = self._run(*self._command("nova-manage"), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def _run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=self._directory)

    def _command(self, name: str) -> list[str]:
        return [self._program(name), "--config-file", str(self._conf)]

    def _program(self, name: str) -> str:
        return str(self._environment / "bin" / name)
