# SPDX-License-Identifier: Apache-2.0
"""What Placement should show for one host, worked out from the books alone.

A host has a shape (see `shape`), and each layout is a module of its own that turns the host into providers:
`layout_compute_node` and `layout_nested`. The agent makes Placement equal to the view.

    view(host)                      the wanted providers; none while a reshape is under way: nobody else writes then
    carrier(host, deployable)       which of them carries a deployable
    parts_of(host, provider_uuid)   which deployables a provider carries
"""

import dataclasses
import re
from dataclasses import dataclass

from cyborg.domain import inventory, layout_compute_node, layout_nested, names
from cyborg.domain.provider import (
    COUNTING_CLASSES,
    GENERIC_CLASS,
    MEMORY_PREFIX,
    Amount,
    Provider,
    counting_class,
    is_of_units,
    memory_class,
)
from cyborg.domain.shape import DEFAULT_SHAPE, Layout, Shape

__all__ = [
    "COUNTING_CLASSES",
    "GENERIC_CLASS",
    "MEMORY_PREFIX",
    "Amount",
    "HostView",
    "Provider",
    "advance",
    "carrier",
    "closed",
    "counting_class",
    "is_of_units",
    "memory_class",
    "parts_of",
    "providers",
    "trait_token",
    "view",
]

LAYOUTS = {Layout.COMPUTE_NODE: layout_compute_node.providers, Layout.NESTED: layout_nested.providers}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """``generation`` is the host's; a view with a higher one replaces one with a lower.

    ``providers`` begin with the compute node's own, and every other one comes after its parent.
    """

    host: str
    generation: int
    providers: tuple[Provider, ...]
    shape: Shape = DEFAULT_SHAPE


def view(host: inventory.Host) -> HostView:
    """The view of ``host``; without providers while its own is not known yet, or while it is being reshaped.

    A host that is down offers nothing new.
    """
    offered = host if host.down_since is None else closed(host)
    shown = () if host.provider_uuid is None or host.moving_to is not None else providers(offered, host.shape)
    return HostView(host=host.name, generation=host.generation, providers=shown, shape=host.shape)


def providers(host: inventory.Host, shape: Shape) -> tuple[Provider, ...]:
    """What is to be shown in ``shape``; nothing while the host's provider is not known."""
    if host.provider_uuid is None:
        return ()
    return LAYOUTS[shape.layout](dataclasses.replace(host, shape=shape), host.provider_uuid)


def closed(host: inventory.Host) -> inventory.Host:
    """The host as if it had nothing to offer beyond what is held."""
    return dataclasses.replace(host, status=inventory.HostStatus.DISABLED)


def carrier(provider_uuid: str | None, layout: Layout, name: str) -> str | None:
    """The provider that carries the deployable of that name, on a host with that provider and layout."""
    return names.provider_uuid(name) if provider_uuid and layout is Layout.NESTED else provider_uuid


def parts_of(host: inventory.Host, provider_uuid: str) -> frozenset[str]:
    """The uuids of the deployables that the provider carries itself; none when it is not one of the host's."""
    return frozenset(
        part.uuid
        for device in host.devices
        for part in device.deployables
        if carrier(host.provider_uuid, host.shape.layout, part.name) == provider_uuid
    )


def advance(before: inventory.Host, after: inventory.Host) -> inventory.Host:
    """``after``, with a higher generation when Placement should show something else than for ``before``.

    Classes that are shown on the compute node's provider are remembered, to be taken away there when they must go.
    """
    if after.shape.layout is Layout.COMPUTE_NODE:
        after = dataclasses.replace(after, owned_classes=layout_compute_node.classes(after))
    if _shown(before) == _shown(after):
        return after
    return dataclasses.replace(after, generation=before.generation + 1)


def _shown(host: inventory.Host) -> HostView:
    return dataclasses.replace(view(host), generation=0)


def trait_token(text: str) -> str:
    """``text`` as part of a trait: upper case, every run of other characters one underscore."""
    return re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")
