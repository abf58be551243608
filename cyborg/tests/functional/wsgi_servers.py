# SPDX-License-Identifier: Apache-2.0
"""The API application behind the servers that people use, each a process of its own; and behind ours, cyborg-api.

    configuration = configure(directory, devices=100)
    for server in SERVERS:
        if not server.missing():
            with server.run(directory, configuration, threads=8) as (url, process):
                Client(url).list("devices")
                process.stop()

The benchmark uses it too. One process serves, with so many threads; what the server writes for each request is off.
"""

import importlib.util
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cyborg.domain import arq, profile, reconcile, view
from cyborg.store import arqs, hosts, schema
from cyborg.store.engine import Store
from cyborg.tests import builders
from cyborg.tests.functional.client import Client
from cyborg.tests.functional.processes import Process, free_port, listens
from cyborg.tests.waiting import until

MODULE = "cyborg.wsgi.api"
OURS = "cyborg-api"
CARDS = 10
THREADS = 8
OUR_MAIN = "import sys; from cyborg.cmd import api; sys.exit(api.main())"
#: As an operator of OpenStack has them in a uwsgi.ini: by itself SIGTERM would start uWSGI again.
UWSGI = """[uwsgi]
master = true
processes = 1
enable-threads = true
lazy-apps = true
need-app = true
disable-logging = true
die-on-term = true
exit-on-reload = true
hook-master-start = unix_signal:15 gracefully_kill_them_all
"""
#: uWSGI's http11-socket says 0.0.0.0 of a caller from the second request of a connection on.
ANYBODY = {"OS_API__NOAUTH_BEYOND_LOOPBACK": "true"}

Argv = Callable[[Path, int, int], Sequence[str | Path]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """``argv`` is made from the directory it may write to, the port and the threads. ``library`` or ``program`` is
    what must be installed; ``environment`` is added to ours."""

    name: str
    argv: Argv
    environment: Mapping[str, str] = field(default_factory=dict)
    library: str | None = None
    program: str | None = None

    def missing(self) -> str | None:
        """Why it cannot run here; None when it can."""
        if self.library and importlib.util.find_spec(self.library) is None:
            return f"{self.library} is not installed"
        if self.program and _program(self.program) is None:
            return f"{self.program} is not installed"
        if self.name == "mod_wsgi-express" and os.geteuid() == 0:
            return "Apache serves nothing as root"
        return None

    @contextmanager
    def run(
        self, directory: Path, configuration: Path, *, threads: int = THREADS, extra: Sequence[str] = ()
    ) -> Iterator[tuple[str, Process]]:
        """Its URL and its process, once it answers; ``extra`` goes to the end of its command line."""
        port = free_port()
        own = directory / self.name
        own.mkdir()
        argv = [*map(str, self.argv(own, port, threads)), *extra]
        if self.name == OURS:
            argv.append(f"--config-file={_own_configuration(own, configuration, port, threads)}")
        # gunicorn leaves a socket at home, or there.
        home = {"HOME": str(own), "XDG_RUNTIME_DIR": str(own)}
        environment = {"OS_CYBORG_CONFIG_FILES": str(configuration), **home, **self.environment}
        with Process(self.name, argv, own, environment) as process:
            until(f"{self.name} listens", lambda: listens(port) or not process.runs)
            assert process.runs, process.output
            url = f"http://127.0.0.1:{port}"
            with Client(url) as client:  # some listen long before they have loaded the application
                client.call("GET", "/healthcheck").expect(200)
            yield url, process


def _ours(_directory: Path, _port: int, _threads: int) -> Sequence[str | Path]:
    return [sys.executable, "-c", OUR_MAIN]


def _waitress(_directory: Path, port: int, threads: int) -> Sequence[str | Path]:
    return [
        sys.executable,
        "-m",
        "waitress",
        f"--listen=127.0.0.1:{port}",
        f"--threads={threads}",
        f"{MODULE}:application",
    ]


def _gunicorn(directory: Path, port: int, threads: int) -> Sequence[str | Path]:
    command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", "--workers=1", "--worker-class=gthread"]
    return [*command, f"--threads={threads}", f"--chdir={directory}", f"{MODULE}:application"]


def _uwsgi(directory: Path, port: int, threads: int) -> Sequence[str | Path]:
    settings = directory / "uwsgi.ini"
    settings.write_text(UWSGI)
    served = [f"--module={MODULE}:application", f"--threads={threads}", f"--http11-socket=127.0.0.1:{port}"]
    return [_program("uwsgi") or "uwsgi", f"--ini={settings}", f"--virtualenv={sys.prefix}", *served]


def _mod_wsgi(directory: Path, port: int, threads: int) -> Sequence[str | Path]:
    program = _program("mod_wsgi-express") or "mod_wsgi-express"
    command = [program, "start-server", MODULE, "--application-type=module", f"--server-root={directory / 'apache'}"]
    return [
        *command,
        "--host=127.0.0.1",
        f"--port={port}",
        "--processes=1",
        f"--threads={threads}",
        "--log-to-terminal",
    ]


GUNICORN = Server(name="gunicorn", argv=_gunicorn, library="gunicorn")
UWSGI_SERVER = Server(name="uwsgi", argv=_uwsgi, program="uwsgi", environment=ANYBODY)
MOD_WSGI = Server(name="mod_wsgi-express", argv=_mod_wsgi, program="mod_wsgi-express")
SERVERS = (
    Server(name=OURS, argv=_ours),
    Server(name="waitress", argv=_waitress, library="waitress"),
    GUNICORN,
    UWSGI_SERVER,
    MOD_WSGI,
)


def configure(directory: Path, *, devices: int) -> Path:
    """A configuration without Keystone, broker and conductor, over a database with so many devices and a request."""
    database = f"sqlite:///{directory / 'cyborg.db'}"
    store = Store(database)
    schema.upgrade(store)
    for start in range(0, devices, CARDS):
        _add_host(store, f"host-{start // CARDS}", cards=min(CARDS, devices - start))
    group = profile.Group(resources={"CUSTOM_ACCELERATOR": 1}, traits={})
    made = arq.Arq(
        uuid=str(uuid.uuid4()),
        project_id="admin",
        state=arq.State.INITIAL,
        profile_name="any-gpu",
        group_id=0,
        group=group,
    )
    with store.transaction() as tx:
        arqs.create(tx, [made])
    store.dispose()
    configuration = directory / "cyborg.conf"
    configuration.write_text(
        f"[DEFAULT]\ntransport_url = fake://\ndefault_log_levels =\n[database]\nconnection = {database}\n"
        "[api]\nauth_strategy = noauth\n"
    )
    return configuration


def _add_host(store: Store, name: str, *, cards: int) -> None:
    """Into the books, as a conductor does it."""
    with store.transaction() as tx:
        hosts.sync(tx, name, str(uuid.uuid4()), {})
        before = hosts.get_or_create(tx, name)
        hosts.save(
            tx, before, view.advance(before, reconcile.plan(before, builders.gpu_host(name, cards), absence_limit=3))
        )


def _own_configuration(directory: Path, configuration: Path, port: int, threads: int) -> Path:
    """What other servers are told on their command line."""
    own = directory / "cyborg-api.conf"
    own.write_text(
        f"[DEFAULT]\nthread_pool_size = {threads}\n{configuration.read_text()}port = {port}\napi_workers = 1\n"
    )
    return own


def _program(name: str) -> str | None:
    """Beside this Python first."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
