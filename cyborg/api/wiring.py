# SPDX-License-Identifier: Apache-2.0
"""What the API needs from outside, and how it reaches the filters and the application of a paste file.

A paste file can hand over nothing but text. While one is being loaded, `current` is what its factories are
to use; when somebody else loads the file (a WSGI server told to), it is made from the environment.
"""

import contextlib
import contextvars
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oslo_config import cfg

from cyborg import conf as configuration
from cyborg import policies
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.store.engine import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    conf: cfg.ConfigOpts
    store: Store
    conductor: ConductorClient
    enforcer: policies.Enforcer


_loading: contextvars.ContextVar[Services | None] = contextvars.ContextVar("loading", default=None)


def connect(conf: cfg.ConfigOpts) -> Services:
    """The services that ``conf`` names; nothing is spoken to yet."""
    return Services(
        conf=conf,
        store=Store.from_conf(conf),
        conductor=ConductorClient(conf, messaging.get_transport(conf)),
        enforcer=policies.Enforcer(conf),
    )


def from_environment() -> Services:
    """For a server that imports us: its command line is not ours, so only files and the environment count.

    ``OS_CYBORG_CONFIG_DIR`` (default: the usual places) and ``OS_CYBORG_CONFIG_FILES`` (names separated by ``;``,
    default cyborg.conf) say where the configuration is.
    """
    conf = configuration.new_config()
    directory = os.environ.get("OS_CYBORG_CONFIG_DIR", "").strip()
    names = [name.strip() for name in os.environ.get("OS_CYBORG_CONFIG_FILES", "").split(";") if name.strip()]
    files = None
    if directory or names:
        files = [str(Path(directory or "/etc/cyborg") / name) for name in names or ["cyborg.conf"]]
    conf([], project=configuration.PROJECT, default_config_files=files)
    configuration.setup_logging(conf)
    return connect(conf)


def current() -> Services:
    return _loading.get() or from_environment()


@contextlib.contextmanager
def loading(services: Services) -> Iterator[None]:
    token = _loading.set(services)
    try:
        yield
    finally:
        _loading.reset(token)
