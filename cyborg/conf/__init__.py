# SPDX-License-Identifier: Apache-2.0
"""Every option, one module per group.

`load` makes a configuration from the command line and the files; it is then passed in, never read from a
global. A new group is a new module here and its name in `GROUPS`.
"""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import oslo_messaging
import pbr.version
from oslo_config import cfg
from oslo_db import options as db_options
from oslo_log import log
from oslo_messaging import opts as messaging_options
from oslo_policy import opts as policy_options

from cyborg.conf import agent, api, conductor, default, nova, placement, privilege, ssl

PROJECT = "cyborg"
LOG_LEVELS = [
    f"{name}=WARNING"
    for name in (
        "amqp",
        "cotyledon",
        "keystoneauth",
        "keystonemiddleware",
        "oslo.messaging",
        "oslo_service",
        "stevedore",
    )
]
#: What we think better of oslo.messaging's options; doc/source/admin/outages.rst says what else there is to set.
RABBIT: Mapping[str, object] = {
    # Replicated, and there again after a restart of the broker; a classic queue of the same name has to go first.
    "rabbit_quorum_queue": True,
    # Not those for answers: a broker that was killed may leave them without a leader for minutes, and every caller
    # without its answer. A classic one is simply made again.
    "rabbit_transient_quorum_queue": False,
    # Without a limit the first conductor that comes back is sent everything that waits, and the others have nothing to
    # do. What waits in the queue expires with its caller's patience; what was sent does not.
    "rabbit_qos_prefetch_count": 10,
    # Pauses between attempts to connect grow so far; 30 seconds would be added to every long outage.
    "rabbit_interval_max": 10,
    # A thread that has an answer for somebody whose queue is gone waits so long for it to be back.
    "kombu_missing_consumer_retry_timeout": 10,
}


class Group(Protocol):
    """What every module of this room offers."""

    def register(self, conf: cfg.ConfigOpts) -> None: ...

    def list_opts(self) -> list[tuple[str, list[cfg.Opt]]]: ...


GROUPS = cast(tuple[Group, ...], (default, api, ssl, conductor, agent, privilege, placement, nova))


def new_config() -> cfg.ConfigOpts:
    """A configuration with every option registered and nothing read yet."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    log.set_defaults(default_log_levels=log.get_default_log_levels() + LOG_LEVELS)
    db_options.set_defaults(conf)
    policy_options.set_defaults(conf, policy_file="policy.yaml")
    oslo_messaging.set_transport_defaults(control_exchange=PROJECT)
    _register_messaging(conf)
    for group in GROUPS:
        group.register(conf)
    return conf


def _register_messaging(conf: cfg.ConfigOpts) -> None:
    for name, options in messaging_options.list_opts():
        conf.register_opts(options, group=name)
    for name, value in RABBIT.items():
        conf.set_default(name, default=value, group="oslo_messaging_rabbit")
    # oslo.messaging reads these from our configuration, but registers them with the global one only.
    for part in ("tracing", "metrics"):
        if importlib.util.find_spec(f"oslo_messaging._{part}") is not None:
            client = importlib.import_module(f"oslo_messaging._{part}.client")
            group = f"oslo_messaging_{part}"
            conf.register_opts(getattr(client, group), group=group)


def load(argv: Sequence[str], *, prog: str, cli_opts: Sequence[cfg.Opt] = ()) -> cfg.ConfigOpts:
    """Read the command line and the configuration files it names (default: cyborg.conf in the usual places)."""
    conf = new_config()
    conf.register_cli_opts(list(cli_opts))
    version = pbr.version.VersionInfo("openstack-cyborg-ng").release_string()
    conf(list(argv), project=PROJECT, prog=prog, version=version)
    return conf


def setup_logging(conf: cfg.ConfigOpts) -> None:
    """Start logging as configured; called once per process, by its command."""
    log.setup(conf, PROJECT)
