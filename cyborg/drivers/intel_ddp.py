# SPDX-License-Identifier: Apache-2.0
"""The dynamic device personalisation (DDP) that runs on an Intel port, and what devlink says of the port's health.

No file of the kernel tells it. The 800 series answers to ``devlink``; the 700 series to Intel's ``ddptool``. Each is
started once for all ports of the host, and may be missing: then it is simply not known.

    devlink -j dev info       {"info": {"pci/0000:b2:00.0": {"versions": {"running": {"fw.app.name": ..., "fw.app": ...
    devlink -j health show    {"health": {"pci/0000:b2:00.0": [{"reporter": "tx", "state": "healthy", ...

Both only read, and need no rights. A devlink that cannot tell all ports at once is asked for one after the other.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from cyborg.domain.report import Health
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.pci_health import Finding
from cyborg.drivers.tools import Tools

SERIES_700, SERIES_800 = "i40e", "ice"
MISSING: Finding = (Health.DEGRADED, "ddp_missing")


class Ddp:
    """The answers of one scan. Ports that another kernel driver has, or that sleep, are not asked about."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._of_all: dict[str, Any] = {}

    def of(self, port: PciFunction) -> tuple[dict[str, str] | None, list[Finding]]:
        """Name and version of what is loaded, None when nothing is or it is not known, and what is wrong with it."""
        if port.asleep or port.driver not in (SERIES_700, SERIES_800):
            return None, []
        found = list(self._reporters(port))
        if port.driver == SERIES_700:
            return self._inventory.get(port.address), found
        running = self._running(port)
        if running is None:
            return None, found
        package = _package(running.get("fw.app.name"), running.get("fw.app"))
        return package, found if package else [*found, MISSING]

    def _running(self, port: PciFunction) -> Mapping[str, Any] | None:
        """Versions that run, None when devlink does not know the port."""
        about = self._devlink(port, "info", "dev", "info")
        return _object(_object(_object(about).get("versions")).get("running")) if about is not None else None

    def _reporters(self, port: PciFunction) -> Iterator[Finding]:
        reporters = self._devlink(port, "health", "health", "show")
        for reporter in map(_object, reporters if isinstance(reporters, list) else ()):
            if reporter.get("state") == "error" and reporter.get("reporter"):
                yield Health.DEGRADED, f"reporter_{reporter['reporter']}"

    def _devlink(self, port: PciFunction, member: str, *command: str) -> Any:
        """What it tells of the port, None when it does not know it."""
        name = f"pci/{port.address}"
        if member not in self._of_all:
            self._of_all[member] = self._ask(member, *command)
        found = self._of_all[member]
        return _object(self._ask(member, *command, name) if found is None else found).get(name)

    def _ask(self, member: str, *command: str) -> Any:
        return _object(_json(self._tools.run("devlink", "-j", *command))).get(member)

    @cached_property
    def _inventory(self) -> dict[str, dict[str, str]]:
        answer = _object(_json(self._tools.run("ddptool", "-a", "-j"))).get("DDPInventory")
        found = {}
        for entry in map(_object, answer if isinstance(answer, list) else [answer]):
            loaded = _object(entry.get("DDPpackage"))
            package = _package(loaded.get("name"), loaded.get("version"))
            address = str(entry.get("address", "")).lower()
            if package:
                found[address if address.count(":") > 1 else f"0000:{address}"] = package
        return found


def _package(name: Any, version: Any) -> dict[str, str] | None:
    return {"name": str(name), "version": str(version or "")} if name else None


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
