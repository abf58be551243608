# SPDX-License-Identifier: Apache-2.0
"""Microversions: which form of the API one request asks for.

``OpenStack-API-Version: compute 2.90, accelerator 2.1`` asks for 2.1. No header, or one that names only other
services, means 2.0. A version that we do not speak is NotAcceptable.
"""

import re
from typing import NamedTuple

from oslo_log import log

from cyborg.domain import errors

LOG = log.getLogger(__name__)
HEADER = "OpenStack-API-Version"
MIN_HEADER = "OpenStack-API-Minimum-Version"
MAX_HEADER = "OpenStack-API-Maximum-Version"
SERVICE = "accelerator"
_NUMBER = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\Z", re.ASCII)


class Version(NamedTuple):
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MIN = Version(2, 0)
BIND_PROJECT = Version(2, 1)
PROFILE_BY_NAME = Version(2, 2)
DEVICE_STATUS = Version(2, 3)
PAGES = Version(2, 4)
DETAILS = Version(2, 5)
ACCELERATORS = Version(2, 6)
HOSTS = Version(2, 7)
PROFILE_UPDATE = Version(2, 8)
DRAIN = Version(2, 9)
OPERATIONS = Version(2, 10)

#: What each version added, in the words of the API reference.
HISTORY = {
    MIN: "The base.",
    BIND_PROJECT: "Administrators may give ``/project_id`` when they bind.",
    PROFILE_BY_NAME: "Device profiles are shown by name.",
    DEVICE_STATUS: "Devices show their ``status``.",
    PAGES: "Lists have pages, an order and filters: ``limit``, ``marker``, ``sort_key``, ``sort_dir``.",
    DETAILS: (
        "``device_uuid`` and ``hostname`` of deployables; ``health`` and ``health_reasons`` of both; ``fault`` and "
        "the time of each state of requests; ``generation`` of devices and profiles, for ``If-Match``."
    ),
    ACCELERATORS: "``accelerators``: each unit that a request can hold, with its state and its holder.",
    HOSTS: "``hosts``: when agents and drivers reported, how many accelerators there are; hosts are disabled.",
    PROFILE_UPDATE: "Device profiles are changed, and may be private and shared with chosen projects.",
    DRAIN: "Devices in use are disabled only with ``drain``; ``dry_run`` shows what disabling or enabling would do.",
    OPERATIONS: (
        "``operations``: work that is still to do, and what was given up; ``drift`` of hosts, found by the last audit; "
        "``fault`` of accelerators, and their states ``reserved`` and ``cleaning``."
    ),
}
MAX = max(HISTORY)


def parse(header: str | None) -> Version:
    """The version that the header's value asks for; raises NotAcceptable."""
    for part in (header or "").split(","):
        words = part.split()
        if len(words) == 1:
            LOG.debug("A version without the service's name is deprecated; send '%s %s'.", SERVICE, words[0])
            return _version(words[0])
        if words and words[0].lower() == SERVICE:
            return _version(" ".join(words[1:]))
    return MIN


def _version(text: str) -> Version:
    if text.lower() == "latest":
        return MAX
    match = _NUMBER.match(text)
    version = match and Version(int(match[1]), int(match[2]))
    if not version or not MIN <= version <= MAX:
        raise errors.NotAcceptable(f"Version {text!r} is not supported; use {MIN} to {MAX} or 'latest'.")
    return version
