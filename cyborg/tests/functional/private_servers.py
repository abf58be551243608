# SPDX-License-Identifier: Apache-2.0
"""A MariaDB, a PostgreSQL and a RabbitMQ of a test's own, which it may kill and start without disturbing anybody.

    with private_servers.run("mysql") as server:
        Store(server.url)
        server.kill()               # SIGKILL; what was committed is there again
        server.start()              # returns when it answers
        server.stop()               # as an operator ends it
        server.start()

They are made from the programs that are installed on this machine, listen on free ports of 127.0.0.1 and keep their
data in a directory that goes with the block. Started by root, they run as an ordinary user: PostgreSQL insists on that.
They take their time, so the default run does without: like every test with servers, those here run where the URL of
such a server is given (that one is left alone). Where it is, or is required, a missing program is a failure.
"""

import contextlib
import os
import pwd
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy
from kombu import connection

from cyborg.tests import databases
from cyborg.tests.functional import deployment, processes
from cyborg.tests.waiting import until

#: Who a server is when root starts it.
ORDINARY_USER = "nobody"
#: Of a first start, on a machine that is busy.
PATIENCE = 120.0
DATABASE = "cyborg"
VARIABLES = {**databases.VARIABLES, "rabbitmq": deployment.RABBITMQ}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one kind of server is made: ``prepare`` ends by itself, and once; ``argv`` serves until it is ended."""

    url: str
    argv: Sequence[str]
    prepare: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    end_with: signal.Signals = signal.SIGTERM
    #: For the first time it answers, and whenever it might: raises while it does not.
    greet: Callable[[str], None]


class Server:
    """``url`` is as in [database] connection or [DEFAULT] transport_url, and stays the same."""

    def __init__(self, kind: str, recipe: Recipe, directory: Path) -> None:
        self.url = recipe.url
        self._kind = kind
        self._recipe = recipe
        self._directory = directory
        self._process: processes.Process | None = None

    def start(self) -> None:
        """Returns when it answers; may be called while it runs."""
        until(f"{self._kind} answers", self._answers, patience=PATIENCE)

    def stop(self) -> None:
        if self._process is not None:
            self._process.ask_to_stop(self._recipe.end_with)
            self._process.wait_end()
            # What it started may outlive it for a moment, and holds on to its data.
            self._process.kill()

    def kill(self) -> None:
        """With its children: PostgreSQL's have sessions of their own, and would still commit what they have in hand."""
        if self._process is not None:
            children = _children(self._process.pid)
            self._process.kill()
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

    def _answers(self) -> bool:
        # After a kill, a server may find its own children still there, and end.
        if self._process is None or not self._process.runs:
            self._process = _start(self._kind, self._recipe.argv, self._directory, self._recipe.environment)
        with contextlib.suppress(*AWAY):
            self._recipe.greet(self.url)
            return True
        return False


AWAY = (OSError, sqlalchemy.exc.SQLAlchemyError)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    return []


def wanted(*kinds: str) -> None:
    """Skips the test unless servers of these kinds are offered, or required."""
    if os.environ.get("CYBORG_TEST_REQUIRE_SERVERS") != "1":
        missing = [VARIABLES[kind] for kind in kinds if not os.environ.get(VARIABLES[kind])]
        if missing:
            pytest.skip(f"{' and '.join(missing)} do not name a server")


@contextlib.contextmanager
def run(kind: str) -> Iterator[Server]:
    """A server of that kind: mysql, postgresql or rabbitmq."""
    with tempfile.TemporaryDirectory(prefix=f"cyborg-{kind}-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        recipe = RECIPES[kind](directory, processes.free_port())
        if os.getuid() == 0:
            _give(directory, ORDINARY_USER)
        if recipe.prepare:
            prepared = _start(f"prepare-{kind}", recipe.prepare, directory, recipe.environment)
            assert prepared.wait_end(PATIENCE) == 0, prepared.output
        server = Server(kind, recipe, directory)
        try:
            server.start()
            yield server
        finally:
            server.kill()


def _mariadb(directory: Path, port: int) -> Recipe:
    data = directory / "data"
    install = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", f"--datadir={data}"]
    # Commits reach the operating system, which outlives a kill of the server.
    durable = ["--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync"]
    serve = [f"--datadir={data}", "--bind-address=127.0.0.1", f"--port={port}", f"--socket={directory}/socket"]
    return Recipe(
        url=f"mysql+pymysql://root@127.0.0.1:{port}/{DATABASE}",
        prepare=[_program("mariadb-install-db"), *install],
        argv=[_program("mariadbd"), "--no-defaults", *serve, *durable],
        greet=lambda url: _greet_database(url, default=""),
    )


def _postgresql(directory: Path, port: int) -> Recipe:
    data = directory / "data"
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": directory, "fsync": "off"}
    return Recipe(
        url=f"postgresql+psycopg://postgres@127.0.0.1:{port}/{DATABASE}",
        prepare=[_program("initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"],
        argv=[_program("postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in options.items())],
        end_with=signal.SIGINT,  # SIGTERM waits until its clients go
        greet=lambda url: _greet_database(url, default="postgres"),
    )


def _rabbitmq(directory: Path, port: int) -> Recipe:
    configuration = directory / "rabbitmq.conf"
    configuration.write_text(f"listeners.tcp.local = 127.0.0.1:{port}\nlog.console = true\nlog.file = false\n")
    (directory / "enabled_plugins").write_text("[].\n")
    environment = {
        "HOME": directory,  # of the Erlang cookie
        "RABBITMQ_NODENAME": f"cyborg-{uuid.uuid4().hex[:8]}@localhost",
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_CONFIG_FILE": configuration,
        "RABBITMQ_ENABLED_PLUGINS_FILE": directory / "enabled_plugins",
        "RABBITMQ_MNESIA_BASE": directory / "data",
        "RABBITMQ_LOG_BASE": directory / "log",
        "RABBITMQ_PID_FILE": directory / "pid",
        "RABBITMQ_DIST_PORT": processes.free_port(),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    return Recipe(
        url=f"rabbit://guest:guest@127.0.0.1:{port}/",
        argv=[_program("rabbitmq-server")],
        environment={name: str(value) for name, value in environment.items()},
        greet=_greet_broker,
    )


RECIPES: Mapping[str, Callable[[Path, int], Recipe]] = {
    "mysql": _mariadb,
    "postgresql": _postgresql,
    "rabbitmq": _rabbitmq,
}
#: Besides the usual places. Debian's rabbitmq-server on the path knows one user only.
PLACES = ("/usr/lib/rabbitmq/bin", "/usr/sbin", *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin"))))


def _program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join((*PLACES, os.environ.get("PATH", os.defpath))))
    if found is None:
        pytest.fail(f"{name} is not installed")
    return str(found)


def _greet_database(url: str, default: str) -> None:
    """Make our database where there is none yet."""
    target = sqlalchemy.make_url(url)
    admin = sqlalchemy.create_engine(target.set(database=default), isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as opened, contextlib.suppress(sqlalchemy.exc.ProgrammingError):
            opened.execute(sqlalchemy.text(f"CREATE DATABASE {target.database}"))
    finally:
        admin.dispose()


def _greet_broker(url: str) -> None:
    with connection.Connection(url.replace("rabbit:", "amqp:", 1), connect_timeout=5) as opened:
        opened.connect()


def _give(directory: Path, user: str) -> None:
    who = pwd.getpwnam(user)
    for path in (directory, *directory.rglob("*")):
        os.chown(path, who.pw_uid, who.pw_gid)


def _start(name: str, argv: Sequence[str], directory: Path, environment: Mapping[str, str]) -> processes.Process:
    return processes.Process(name, argv, directory, environment, user=ORDINARY_USER if os.getuid() == 0 else None)
