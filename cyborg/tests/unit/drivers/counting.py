# SPDX-License-Identifier: Apache-2.0
"""How often a look goes to the kernel, counted where Python leaves for it; and hosts that are large enough to tell.

calls = counted(lambda: list(driver.discover(host)))
calls.reads, calls.lists, calls.links
"""

import collections
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from cyborg.tests.unit.drivers import builders, golden

#: Those with PCI functions to look at.
FAMILIES = [family for family in builders.families() if family not in ("fake", "spdk")]
#: The golden host of each whose cards have the most to be read; "plain" where it is not named.
RICHEST = {"intel_fpga": "dfl", "nvidia_gpu": "mediated_devices", "nvme_ssd": "partitioned", "intel_qat": "partitioned"}
KERNEL = "posix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Files opened, directories listed, links followed; ``others`` by name, without what belongs to these."""

    reads: int
    lists: int
    links: int
    others: dict[str, int]

    @property
    def total(self) -> int:
        return self.reads + self.lists + self.links


def counted(work: Callable[[], object]) -> Calls:
    found: collections.Counter[str] = collections.Counter()

    def note(_frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call" and getattr(argument, "__module__", None) == KERNEL:
            found[argument.__name__] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    reads, lists, links = found.pop("open", 0), found.pop("listdir", 0), found.pop("readlink", 0)
    for part in ("read", "close", "fspath", "lstat"):
        found.pop(part, None)
    return Calls(reads=reads, lists=lists, links=links, others=dict(found))


def case_of(family: str) -> str:
    return f"{family}/{RICHEST.get(family, 'plain')}"


def host_of(family: str, functions: int) -> dict[str, Any]:
    """A host in the words of a recorded one, with so many functions."""
    data = golden.recording(case_of(family))
    return golden.multiplied(data, -(-functions // len(data["pci"])), functions)
