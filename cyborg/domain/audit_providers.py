# SPDX-License-Identifier: Apache-2.0
"""compare(host, seen): where the providers of a host are not what its view says.

On a provider that nova-compute manages only what is usable can be compared: its total is a ceiling of the provider
config file, and ``reserved`` brings it down. On a host that is down, whatever is not offered is right.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cyborg.domain import inventory, view
from cyborg.domain.provider import Amount, Provider
from cyborg.domain.reshape import Allocations


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenProvider:
    """``managed``: nova-compute writes its inventory."""

    inventories: Mapping[str, Amount]
    traits: frozenset[str]
    managed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Providers of one tree by uuid, allocations on them by consumer; ``ages`` in seconds, of some consumers."""

    providers: Mapping[str, SeenProvider]
    consumers: Mapping[str, Allocations] = field(default_factory=dict)
    ages: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``kind`` is the value of an `audit.Kind`."""

    kind: str
    subject: str
    text: str


def compare(host: inventory.Host, seen: Seen) -> Iterator[Finding]:
    for wanted in view.view(host).providers:
        found = seen.providers.get(wanted.uuid)
        name = wanted.name or host.name
        if host.down_since is not None:
            yield from () if found is None else _still_offered(name, wanted, found)
        elif found is None:
            yield Finding(kind="provider_missing", subject=name, text=f"Placement has no provider {wanted.uuid}")
        else:
            yield from _differences(name, wanted, found)


def _still_offered(name: str, wanted: Provider, found: SeenProvider) -> Iterator[Finding]:
    for each, amount in sorted(wanted.inventories.items()):
        current = found.inventories.get(each, Amount(total=0))
        if current.usable > amount.usable:
            text = f"{current.usable} of {each} may be claimed though the host is down"
            yield Finding(kind="inventory_differs", subject=f"{name}/{each}", text=text)


def _differences(name: str, wanted: Provider, found: SeenProvider) -> Iterator[Finding]:
    guest = found.managed and wanted.name is None
    missing = [each for each, amount in wanted.inventories.items() if amount.total and each not in found.inventories]
    for each in sorted(missing):
        cause = (
            "nova-compute does not show it: restart it once, and see the agent's log"
            if guest
            else "somebody took it away, as nova-compute does with what it did not write"
        )
        yield Finding(kind="class_missing", subject=f"{name}/{each}", text=f"{each} is not there; {cause}")
    for each, amount in sorted(wanted.inventories.items()):
        current = found.inventories.get(each)
        if current is not None and not _same(amount, current, guest=guest):
            text = f"total {current.total} reserved {current.reserved}, and should be {_should(amount, guest=guest)}"
            yield Finding(kind="inventory_differs", subject=f"{name}/{each}", text=text)
    if not (guest and missing):
        # Until nova-compute shows the class our traits stay away, or something would be scheduled too early.
        for trait in sorted(wanted.traits - found.traits):
            text = "not shown, though a free accelerator stands behind it"
            yield Finding(kind="trait_missing", subject=f"{name}/{trait}", text=text)
    for trait in sorted(wanted.withdrawn & found.traits):
        text = "shown, though no free accelerator stands behind it"
        yield Finding(kind="trait_extra", subject=f"{name}/{trait}", text=text)


def _same(wanted: Amount, current: Amount, *, guest: bool) -> bool:
    if guest or not wanted.total:
        # With total 0 the class must not be there; while somebody holds a unit of it, or Nova shows it, it is closed.
        return current.usable == wanted.usable
    return (current.total, current.reserved) == (wanted.total, wanted.reserved)


def _should(wanted: Amount, *, guest: bool) -> str:
    return f"{wanted.usable} usable" if guest else f"total {wanted.total} reserved {wanted.reserved}"
