# SPDX-License-Identifier: Apache-2.0
"""[DEFAULT]: what every process needs to know."""

import socket
from pathlib import Path

from oslo_config import cfg

GROUP = "DEFAULT"

OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<hostname>",
        help="Name of this host. Of an agent, only where [agent] resource_provider_name does not say another.",
    ),
    cfg.IntOpt("periodic_interval", default=60, min=1, help="Seconds between two reports of an agent."),
    cfg.IntOpt("thread_pool_size", default=10, min=1, help="Threads that serve RPC requests in one process."),
    cfg.IntOpt(
        "bind_timeout",
        default=60,
        min=1,
        help="Seconds after which an RPC call between our services is given up; the caller is told to try again.",
    ),
    cfg.StrOpt(
        "pybasedir",
        default=str(Path(__file__).resolve().parents[2]),
        sample_default="<Path>",
        deprecated_for_removal=True,
        deprecated_reason="Nothing is looked up relative to it.",
        help="Directory of the installed package.",
    ),
    cfg.StrOpt(
        "bindir",
        default="$pybasedir/bin",
        deprecated_for_removal=True,
        deprecated_reason="Nothing is looked up relative to it.",
        help="Directory of the installed commands.",
    ),
    cfg.StrOpt("state_path", default="/var/lib/cyborg", help="Directory for what must survive a restart of a process."),
]


def register(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(GROUP, OPTS)]
