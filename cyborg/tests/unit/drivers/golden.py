# SPDX-License-Identifier: Apache-2.0
"""The golden hosts: each directory below tests/golden/<driver> is one, and `test_golden` says what stands in it.

data = golden.recording("intel_qat/partitioned")
with golden.at_work("intel_qat", data, directory) as (driver, host):
    driver.discover(host)
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from cyborg.drivers import recorded
from cyborg.drivers.conformance.renumber import PLACE as PLACE_ON_BUS
from cyborg.drivers.host import Host
from cyborg.tests.unit.drivers import builders, fakes

PLACE = Path(__file__).resolve().parents[2] / "golden"
#: By which the copies of a host are apart.
DOMAINS, GROUPS = 0x100, 1000
CASES = sorted(path.parent.relative_to(PLACE).as_posix() for path in PLACE.glob("*/*/host.yaml"))


def family_of(case: str) -> str:
    return case.partition("/")[0]


def recording(case: str) -> dict[str, Any]:
    return recorded.load(PLACE / case / "host.yaml")


def report(case: str) -> dict[str, Any]:
    """What must be found there."""
    found: dict[str, Any] = yaml.safe_load((PLACE / case / "report.yaml").read_text(encoding="utf-8"))
    return found


@contextmanager
def at_work(family: str, data: Mapping[str, Any], directory: Path) -> Iterator[tuple[Any, Host]]:
    """The family's driver, the host that it is to look at, and what it talks to beside, for as long as the block."""
    host = recorded.materialise(data, directory)
    if "tools" in data:
        host.tools = fakes.FakeTools(data["tools"])
    with fakes.spdk_targets(directory, data.get("rpc", {})) as sockets:
        yield builders.driver(family, data.get("options"), data.get("nvml"), sockets), host


def multiplied(data: Mapping[str, Any], copies: int, functions: int | None = None) -> dict[str, Any]:
    """A larger host: ``copies`` of this one, each in PCI domains of its own, of which the first ``functions`` stay.

    Options are those for the first, and vendors' tools, which would tell nothing of the others, are left out.
    """
    found: dict[str, Any] = {"pci": {}, "files": {}, "options": data.get("options", {})}
    for number in range(copies):
        one = json.loads(PLACE_ON_BUS.sub(partial(_moved, number), json.dumps(data)))
        for address, entry in (one.get("pci") or {}).items():
            found["pci"][address] = _regrouped(entry, number)
        found["files"] |= one.get("files") or {}
    found["pci"] = dict(list(found["pci"].items())[:functions])
    return found


def _moved(number: int, match: re.Match[str]) -> str:
    if not (match["before"] or match["after"]):
        return match[0]
    domain = int(match["domain"], 16) + number * DOMAINS
    return f"{match['before'] or ''}{domain:04x}:{match['bus']}{match['after'] or ''}"


def _regrouped(entry: Any, number: int) -> Any:
    if isinstance(entry, dict) and isinstance(entry.get("iommu_group"), int):
        return entry | {"iommu_group": entry["iommu_group"] + number * GROUPS}
    return entry
