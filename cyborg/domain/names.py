# SPDX-License-Identifier: Apache-2.0
"""Names of deployables, and the identity of the provider that is made from one.

A name says where the part was when it was first seen, and never changes: the provider of the part, with the
allocations on it, goes by it. A card that moves to another slot takes its name along, and whoever comes to the
old slot gets one of its own.

    compute-1_0000:3b:00.0      card A, first seen at 3b and now at 5e
    compute-1_0000:3b:00.0_2    card B, which came to 3b later
"""

import hashlib
import itertools
import uuid
from collections.abc import Iterable

LONGEST_PROVIDER_NAME = 200


class Names:
    """The names on one host; ``taken`` are those that stored deployables have."""

    def __init__(self, host: str, taken: Iterable[str]) -> None:
        self._host = host
        self._taken = set(taken)

    def new(self, address: str, key: str) -> str:
        """A name that no other deployable of the host has; for one part without competitors always the same."""
        base = f"{self._host}_{address}_{key}" if key else f"{self._host}_{address}"
        numbered = (f"{base}_{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain([base], numbered) if name not in self._taken)
        self._taken.add(name)
        return name


def provider_uuid(name: str) -> str:
    """Of the provider of the deployable with that name; earlier Cyborgs made it in the same way."""
    return str(uuid.uuid3(uuid.NAMESPACE_DNS, name))


def provider_name(name: str) -> str:
    """The name itself, or, where it is longer than Placement takes, its beginning and a digest."""
    if len(name) <= LONGEST_PROVIDER_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    return f"{name[: LONGEST_PROVIDER_NAME - len(digest) - 1]}_{digest}"
