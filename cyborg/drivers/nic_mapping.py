# SPDX-License-Identifier: Apache-2.0
"""Which ports of network cards belong to which physical network, and which carry which function.

    [nic_devices]
    enabled_nic_types = x710_static

    [x710_static]
    physical_device_mappings = physnet1:ens785f0|ens785f1, physnet2:0000:05:00.0
    function_device_mappings = GTPv1:ens785f1

A mapping is a name, a colon, and ports joined by ``|``: names of the interfaces of PFs, or their PCI addresses. What
stands before the first colon is the name, so an address is what it is. A port has one physical network at most.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

from cyborg.domain import errors
from cyborg.drivers.pci_function import ADDRESS

TYPES = "enabled_nic_types"
NETWORKS = "physical_device_mappings"
FUNCTIONS = "function_device_mappings"
PORTS = "device_addresses"
#: A name becomes part of a trait, which Placement takes up to 255 characters of.
LONGEST_NAME = 200
OPTIONS: tuple[cfg.Opt, ...] = (
    cfg.ListOpt(
        NETWORKS,
        default=[],
        help="Physical networks, each as name:port|port. A port is the interface name of a physical function, or its "
        "PCI address. Ports that are named here are offered, whatever Intel card they are on.",
    ),
    cfg.ListOpt(
        FUNCTIONS, default=[], help="What ports are made for, each as name:port|port; the names become traits."
    ),
    cfg.ListOpt(PORTS, default=[], help="PCI addresses of further ports to offer, whatever Intel card they are on."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mappings:
    """``networks``: the physical network by port; ``functions``: names by port; ``ports``: all that are named."""

    networks: Mapping[str, str]
    functions: Mapping[str, tuple[str, ...]]
    ports: frozenset[str]


def parse(options: Mapping[str, Any]) -> Mappings:
    """The mappings of all enabled types; raises DriverError for one that is not understood or contradicts another."""
    networks: dict[str, str] = {}
    functions: dict[str, tuple[str, ...]] = {}
    ports: set[str] = set()
    for section in options[TYPES]:
        values = options.get(section, {})
        for name, port in _pairs(section, NETWORKS, values.get(NETWORKS, ())):
            if networks.setdefault(port, name) != name:
                raise errors.DriverError(
                    f"[{section}] {NETWORKS}: {port} is in {networks[port]} and in {name}; a port has one network."
                )
        for name, port in _pairs(section, FUNCTIONS, values.get(FUNCTIONS, ())):
            functions[port] = (*functions.get(port, ()), name)
        ports |= {_port(port) for port in values.get(PORTS, ())}
    return Mappings(networks=networks, functions=functions, ports=frozenset({*ports, *networks, *functions}))


def _pairs(section: str, option: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for text in texts:
        name, colon, rest = (part.strip() for part in text.partition(":"))
        ports = [_port(port.strip()) for port in rest.split("|")]
        if not (name and colon and all(ports)):
            raise errors.DriverError(f"[{section}] {option}: {text!r} is not name:port|port.")
        if len(name) > LONGEST_NAME:
            raise errors.DriverError(f"[{section}] {option}: {name} is longer than {LONGEST_NAME} characters.")
        if name in seen:
            raise errors.DriverError(f"[{section}] {option}: {name} is given twice; join its ports by |.")
        seen.add(name)
        yield from ((name, port) for port in ports)


def _port(text: str) -> str:
    """Addresses are in lower case here; names of interfaces are as they are."""
    return text.lower() if ADDRESS.fullmatch(text.lower()) else text
