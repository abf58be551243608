# SPDX-License-Identifier: Apache-2.0
"""The real Placement application inside our process, on one SQLite file.

For one machine, demonstrations and tests. It asks for no Keystone: the token is ``admin``.

    application = embedded_placement.build(Path("/var/lib/cyborg"))
    cheroot.wsgi.Server(("127.0.0.1", 8778), application).start()

Placement keeps its database and its flags in module globals. So that several can live in one process,
each keeps its own database handle and puts it in place for the length of one request; requests are served one at
a time, which is also what SQLite wants.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from oslo_config import cfg
from placement import conf as placement_conf
from placement import db_api, deploy, policy
from placement.objects import resource_class, trait

TOKEN = "admin"  # noqa: S105  what Placement's noauth2 takes for an administrator; nothing secret
DATABASE = "placement.sqlite"
#: What Keystone would say of the user of a service: some calls of Placement are for services only.
ROLES = "admin,member,reader,service"

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_one_at_a_time = threading.RLock()


def build(state_dir: Path, *, durable: bool = True) -> Application:
    """The application with its database under ``state_dir``, made or upgraded when needed.

    ``durable=False`` leaves out waiting for the disk: for tests.
    """
    database = state_dir / DATABASE
    _use_write_ahead_log(database)
    return Embedded.load(state_dir, f"sqlite:///{database}", durable=durable)


class Embedded:
    """``application`` with ``database`` put in place for each request."""

    def __init__(self, application: Application, database: Any) -> None:
        self.database = database
        self._application = application

    @classmethod
    def load(cls, state_dir: Path, url: str, *, durable: bool) -> Self:
        """A new application; makes or upgrades the database."""
        conf = _configuration(state_dir=state_dir, url=url)
        database = _database(url, durable=durable)
        with _one_at_a_time:
            put_back = db_api.placement_context_manager.patch_factory(database)
            try:
                # Placement fills these two tables once per process; ours must be filled once per database.
                trait._TRAITS_SYNCED = False
                resource_class._RESOURCE_CLASSES_SYNCED = False
                policy.init(conf, suppress_deprecation_warnings=True)
                return cls(deploy.loadapp(conf), database)
            finally:
                put_back()

    def on(self, url: str) -> Self:
        """The same application on another database, whose tables have to be made and filled already."""
        return type(self)(self._application, _database(url, durable=False))

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("HTTP_X_AUTH_TOKEN") == TOKEN:
            environ["HTTP_X_ROLES"] = ROLES
        with _one_at_a_time:
            put_back = db_api.placement_context_manager.patch_factory(self.database)
            try:
                return list(self._application(environ, start_response))
            finally:
                put_back()


def _database(url: str, *, durable: bool) -> Any:
    database = db_api.placement_context_manager.make_new_manager()
    database.configure(connection=url, sqlite_synchronous=durable)
    return database


def _configuration(*, state_dir: Path, url: str) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    placement_conf.register_opts(conf)
    conf.set_override("connection", url, "placement_database")
    conf.set_override("sync_on_startup", override=True, group="placement_database")
    conf.set_override("auth_strategy", "noauth2", "api")
    # Not the policy of a Placement that happens to be installed on this machine.
    conf.set_override("policy_file", str(state_dir / "placement-policy.yaml"), "oslo_policy")
    conf([], project="placement", default_config_files=[], default_config_dirs=[])
    return conf


def _use_write_ahead_log(database: Path) -> None:
    connection = sqlite3.connect(database)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
