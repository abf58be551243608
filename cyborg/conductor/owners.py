# SPDX-License-Identifier: Apache-2.0
"""Whose a server is, as its allocation in Placement says.

When an administrator evacuates or unshelves somebody's server, Nova makes its new requests with the administrator's
token, and nothing that it sends says whose the server is. Its allocation does: Nova claims for the server's project.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Self

from oslo_config import cfg
from oslo_log import log

from cyborg import context
from cyborg.conf import credentials
from cyborg.conf import placement as options
from cyborg.domain import errors
from cyborg.placement.client import PlacementClient

LOG = log.getLogger(__name__)
#: Seconds for each server; a bind that an administrator caused is not kept longer by a Placement that hangs.
TIMEOUT = 2
#: What Placement says of consumers whose project it was never told, see its [placement] incomplete_consumer_project_id.
UNTOLD = "00000000-0000-0000-0000-000000000000"


class Owners:
    """``client`` makes a client of Placement when it is first needed; None: there is no Placement to ask."""

    def __init__(self, client: Callable[[], PlacementClient] | None) -> None:
        self._make = client
        self._client: PlacementClient | None = None

    @classmethod
    def of(cls, conf: cfg.ConfigOpts) -> Self:
        known = credentials.are_given(conf, options.GROUP)
        return cls((lambda: PlacementClient.from_conf(conf, timeout=TIMEOUT)) if known else None)

    def projects(self, caller: context.RequestContext, instances: Collection[str]) -> Mapping[str, str]:
        """The project of each server, by its uuid; {} for who is no administrator: their requests are their own.

        Sends one request for each server. What Placement does not know, or does not say now, is left out.
        """
        if self._make is None or not caller.is_admin:
            return {}
        try:
            self._client = self._client or self._make()
            return {uuid: found for uuid in instances if (found := _project(self._client, uuid))}
        except (errors.PlacementError, errors.Unavailable) as exc:
            LOG.warning("Requests that an administrator binds now stay the administrator's: %s", exc)
            return {}


def _project(client: PlacementClient, instance: str) -> str | None:
    """None for a server without allocations, and for one of which Placement does not know it."""
    found: str | None = client.get(f"/allocations/{instance}").get("project_id")
    return None if found == UNTOLD else found
