# SPDX-License-Identifier: Apache-2.0
"""Whether a host's agent is there: it speaks with every report, and one that was not heard of for too long is down."""

import datetime

from cyborg.domain import errors, inventory


def is_down(host: inventory.Host, moment: datetime.datetime, patience: datetime.timedelta) -> bool:
    """False also for a host whose agent never spoke: nothing is known of it."""
    return host.seen_at is not None and moment - host.seen_at >= patience


def refuse_down(host: inventory.Host, moment: datetime.datetime, patience: datetime.timedelta) -> None:
    """Raises Conflict for a host that is down: what is bound there now might never be attached."""
    if host.seen_at is not None and is_down(host, moment, patience):
        raise errors.Conflict(
            f"Host {host.name} is down: its cyborg-agent was last heard of {moment - host.seen_at} ago "
            f"({host.seen_at:%Y-%m-%d %H:%M:%S} UTC). Start the agent there, or bind on another host."
        )
