# SPDX-License-Identifier: Apache-2.0
"""cyborg-dbsync: make the database schema, bring it up to date, say at which revision it is."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from oslo_config import cfg

from cyborg import conf as configuration
from cyborg.domain import errors
from cyborg.store import schema
from cyborg.store.engine import Store


def main(argv: Sequence[str] | None = None) -> int:
    command = cfg.SubCommandOpt("command", title="Command", help="What to do.", handler=_add_parsers)
    conf = configuration.load(sys.argv[1:] if argv is None else argv, prog="cyborg-dbsync", cli_opts=[command])
    configuration.setup_logging(conf)
    try:
        conf.command.action(conf, Store.from_conf(conf))
    except errors.CyborgError as error:
        print(f"cyborg-dbsync: {error.message}", file=sys.stderr)
        return 1
    return 0


def _add_parsers(commands: Any) -> None:
    def add(name: str, action: Callable[[cfg.ConfigOpts, Store], None], text: str) -> Any:
        parser = commands.add_parser(name, help=text, description=text)
        parser.set_defaults(action=action)
        return parser

    upgrade = add("upgrade", _upgrade, "Bring the schema to a revision; safe to run again.")
    upgrade.add_argument("--revision", default="head", help="Revision to stop at; the newest by default.")
    revision = add("revision", _revision, "Write a new migration file (for developers).")
    revision.add_argument("-m", "--message", required=True, help="What the revision changes, in a few words.")
    revision.add_argument("--autogenerate", action="store_true", help="Fill it with what differs from the models.")
    stamp = add("stamp", _stamp, "Record a revision without running anything.")
    stamp.add_argument("--revision", default="head", help="Revision to record; the newest by default.")
    add("version", _version, "Show the revision of the database and the newest one known.")
    add("create_schema", _upgrade_all, "The same as 'upgrade': there is one way to a schema.")
    add("online_data_migrations", _migrate_data, "Move data to new forms while the services run.")


def _upgrade(conf: cfg.ConfigOpts, store: Store) -> None:
    schema.upgrade(store, conf.command.revision)
    _say(f"The schema is at revision {schema.version(store)}.")


def _upgrade_all(_conf: cfg.ConfigOpts, store: Store) -> None:
    schema.upgrade(store)
    _say(f"The schema is at revision {schema.version(store)}.")


def _revision(conf: cfg.ConfigOpts, store: Store) -> None:
    schema.write_revision(store, conf.command.message, autogenerate=conf.command.autogenerate)


def _stamp(conf: cfg.ConfigOpts, store: Store) -> None:
    schema.stamp(store, conf.command.revision)
    _say(f"The schema is recorded as revision {schema.version(store)}.")


def _version(_conf: cfg.ConfigOpts, store: Store) -> None:
    _say(f"database: {schema.version(store) or 'empty'}\nnewest:   {schema.head()}")


def _migrate_data(_conf: cfg.ConfigOpts, _store: Store) -> None:
    _say("Nothing to do: this release has no online data migrations.")


def _say(text: str) -> None:
    print(text)


if __name__ == "__main__":
    sys.exit(main())
