# SPDX-License-Identifier: Apache-2.0
"""The same host after its cards were numbered anew, as a firmware update or one more bridge does to it."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from cyborg.domain import report, wire
from cyborg.drivers.conformance.subject import Case

PLACE = re.compile(
    r"(?<![0-9a-fA-F])(?P<before>pci)?(?P<domain>[0-9a-fA-F]{4,8}):(?P<bus>[0-9a-fA-F]{2})(?P<after>:[0-9a-f]{2}\.[0-7])?"
)
PCI_PARTS = ("domain", "bus", "device", "function")
LAST_BUS = 0xFF

Renumber = Callable[[str], str]


def renumbering(case: Case) -> Renumber | None:
    """Moves every address in a text by the same number of buses; None when there is no room, or nothing to move."""
    buses = {(int(address.split(":")[0], 16), int(address.split(":")[1], 16)) for address in case.functions}
    for shift in range(1, LAST_BUS):
        moved = {(domain, bus + shift) for domain, bus in buses}
        if buses and not moved & buses and all(bus <= LAST_BUS for _, bus in moved):
            return partial(PLACE.sub, partial(_moved, buses, shift))
    return None


def case_of(case: Case, renumber: Renumber) -> Case:
    return Case(name=case.name, data=json.loads(renumber(json.dumps(case.data))))


def text_of(device: report.Device) -> str:
    """The device with each PCI address in one piece, in which it can be found."""
    return json.dumps(_joined(wire.to_wire(device)), sort_keys=True)


def _joined(value: Any) -> Any:
    if isinstance(value, Mapping):
        whole = {key: _joined(item) for key, item in value.items()}
        if all(isinstance(whole.get(part), str) for part in PCI_PARTS):
            whole["address"] = "{domain}:{bus}:{device}.{function}".format(
                **{part: whole.pop(part) for part in PCI_PARTS}
            )
        return whole
    return [_joined(item) for item in value] if isinstance(value, list) else value


def _moved(buses: set[tuple[int, int]], shift: int, match: re.Match[str]) -> str:
    domain, bus = int(match["domain"], 16), int(match["bus"], 16)
    if (domain, bus) not in buses or not (match["before"] or match["after"]):
        return match[0]
    digits = f"{bus + shift:02x}"
    digits = digits.upper() if match["bus"] != match["bus"].lower() else digits
    return f"{match['before'] or ''}{match['domain']}:{digits}{match['after'] or ''}"
