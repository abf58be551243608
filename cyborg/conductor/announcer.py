# SPDX-License-Identifier: Apache-2.0
"""After a commit: hand the agents of the changed hosts their new view."""

from collections.abc import Iterable

from oslo_log import log

from cyborg.domain import errors, inventory, view
from cyborg.rpc import agent

LOG = log.getLogger(__name__)


class Announcer:
    """A view that does not arrive is no loss: the agent asks with every report."""

    def __init__(self, agents: agent.Agents) -> None:
        self._agents = agents

    def announce(self, hosts: Iterable[inventory.Host]) -> None:
        for host in hosts:
            try:
                self._agents.publish(view.view(host))
            except errors.Unavailable as exc:
                LOG.debug("View %d of %s waits for the next report: %s", host.generation, host.name, exc)
