# SPDX-License-Identifier: Apache-2.0
"""SPDK targets: each block device that a target exports, over NVMe-oF or vhost, is one accelerator."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from oslo_config import cfg

from cyborg.domain import errors, report
from cyborg.domain.host_work import Unit
from cyborg.drivers import pci_health, spdk_clean, spdk_rpc, spdk_target
from cyborg.drivers.host import Host

NOT_LISTENING: pci_health.Finding = (report.Health.FAILED, "not_listening")


class SpdkDriver:
    option_group: ClassVar[str | None] = "spdk"
    options: ClassVar[tuple[cfg.Opt, ...]] = (
        cfg.ListOpt(
            "sockets",
            default=[],
            help="JSON-RPC sockets of the SPDK targets on this host, such as /var/tmp/spdk.sock. The agent needs "
            "permission to write to them.",
        ),
        cfg.FloatOpt("timeout", default=5.0, min=0.1, help="Seconds that a target gets to answer one call."),
        cfg.FloatOpt(
            "erase_timeout",
            default=600.0,
            min=0.1,
            help="Seconds that a target gets for each command with which an exported disk is erased between two users.",
        ),
        cfg.StrOpt(
            "vhost_directory",
            default="/var/tmp",  # noqa: S108 - nothing is written there, and it is where such sockets commonly are
            help="Where the targets have their vhost sockets (their option -S).",
        ),
    )

    def __init__(self, options: Mapping[str, Any], find_socket: Callable[[str], str] = str) -> None:
        """``find_socket`` says where the socket of a configured name really is."""
        self._sockets: Sequence[str] = options["sockets"]
        self._timeout: float = options["timeout"]
        self._patience: float = options["erase_timeout"]
        self._vhost_directory: str = options["vhost_directory"]
        self._find_socket = find_socket
        self._drives: dict[str, tuple[str, ...]] = {}

    def discover(self, host: Host) -> Iterator[report.Device]:
        for socket in dict.fromkeys(self._sockets):
            target = self._target(host, socket)
            if target.findings:
                # What it worked with before it fell silent it may still hold.
                target = dataclasses.replace(target, drives=tuple({*target.drives, *self._drives.get(socket, ())}))
            self._drives[socket] = target.drives
            yield _device(socket, target)

    def measure(self, host: Host) -> Mapping[str, Mapping[str, float]]:
        found = {socket: self._sensors(socket) for socket in dict.fromkeys(self._sockets)}
        return {socket: sensors for socket, sensors in found.items() if sensors}

    def clean(self, host: Host, unit: Unit) -> None:
        if unit.address not in self._sockets:
            raise errors.NotFound(f"{unit.address} is not in [spdk] sockets, so that target cannot be asked.")
        try:
            with spdk_rpc.Client(self._find_socket(unit.address), self._patience) as client:
                spdk_clean.clean(client, unit)
        except spdk_rpc.NotListening as exc:
            raise errors.DriverError(f"Nobody listens at {exc}: nothing says that {unit.part} is clean.") from exc

    def _sensors(self, socket: str) -> Mapping[str, float]:
        try:
            with spdk_rpc.Client(self._find_socket(socket), self._timeout) as client:
                return spdk_target.sensors(client)
        except spdk_rpc.NotListening:
            return {}

    def _target(self, host: Host, socket: str) -> spdk_target.Target:
        # Disks keep their media errors for life, so those of the first look say nothing.
        grew = functools.partial(host.counters.grew, socket, first=None)
        try:
            with spdk_rpc.Client(self._find_socket(socket), self._timeout) as client:
                return spdk_target.read(client, self._vhost_directory, grew)
        except spdk_rpc.NotListening:
            return spdk_target.Target(version=None, exports=(), drives=(), findings=(NOT_LISTENING,))


def _device(socket: str, target: spdk_target.Target) -> report.Device:
    """The fact ``drives`` keeps other drivers off the PCI functions that the target works with."""
    health, reasons = pci_health.verdict(target.findings)
    return report.Device(
        address=socket,
        type=report.DeviceType.SSD,
        vendor="spdk",
        model="target",
        health=health,
        health_reasons=reasons,
        facts={"version": target.version, "drives": sorted(target.drives)},
        deployables=tuple(_part(export) for export in target.exports),
    )


def _part(export: spdk_target.Export) -> report.Deployable:
    return report.Deployable(
        key=export.bdev.key,
        resource_class="CUSTOM_SPDK_BDEV",
        traits=export.traits | {"CUSTOM_SPDK"},
        accelerators=(report.Accelerator(key="bdev", type=export.type, info=export.info),),
    )
