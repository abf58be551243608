# SPDX-License-Identifier: Apache-2.0
"""Which of its names this host goes by: the one that its compute node has in Placement.

nova-compute names its provider after the hypervisor, mostly the fully qualified name of the host and sometimes the
short one. What ``[agent] resource_provider_name`` says is believed; without it, Placement is asked.
"""

import socket
import threading
from typing import Protocol

from oslo_config import cfg
from oslo_log import log

from cyborg.conf import agent as options
from cyborg.outage import Outage

LOG = log.getLogger(__name__)
LOOPBACK = "localhost"
LONGEST_PAUSE = 10.0


class Finds(Protocol):
    """The publisher, as much of it as is needed here."""

    def find_provider(self, names: list[str]) -> str | None: ...


def candidates(conf: cfg.ConfigOpts) -> list[str]:
    """The names that this host may go by, the likeliest first."""
    configured = conf[options.GROUP].resource_provider_name
    if configured:
        return [configured]
    qualified = socket.getfqdn()
    names = [conf.host] if qualified.startswith(LOOPBACK) else [qualified, conf.host]
    return list(dict.fromkeys(names))


def settle(conf: cfg.ConfigOpts, publisher: Finds, stopping: threading.Event | None = None) -> str:
    """The name; with several to choose from, waits until Placement has a provider of one of them.

    ``stopping`` ends the waiting, with the likeliest.
    """
    names = candidates(conf)
    if len(names) == 1:
        return names[0]
    stopping = stopping or threading.Event()
    outage, waiting = Outage("Placement"), False
    while not stopping.is_set():
        with outage.watched():
            for name in names:
                if publisher.find_provider([name]):
                    return name
            if not waiting:
                LOG.warning(
                    "Placement has no resource provider named %s yet; it is looked for until there is one. If "
                    "nova-compute of this host uses another name, set [agent] resource_provider_name.",
                    " or ".join(names),
                )
            waiting = True
        stopping.wait(min(LONGEST_PAUSE, conf.periodic_interval))
    return names[0]
