# SPDX-License-Identifier: Apache-2.0
"""What an SPDK target says of itself: its version, what it exports, which PCI functions it drives, how it is.

Which methods a target has depends on how it was built, so it is asked for those that it lists. Each answer may be
missing: then only what it would have told is not known.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oslo_log import log

from cyborg.domain.report import HandleType, Health
from cyborg.domain.view import trait_token
from cyborg.drivers import spdk_health, spdk_rpc
from cyborg.drivers.nvme_smart import Grew, Smart
from cyborg.drivers.pci_function import ADDRESS
from cyborg.drivers.pci_health import Finding
from cyborg.drivers.spdk_answers import Object, controller_paths, names, nvme, objects, text

LOG = log.getLogger(__name__)

VERSION = "spdk_get_version"
METHODS = "rpc_get_methods"
BDEVS = "bdev_get_bdevs"
CONTROLLERS = "bdev_nvme_get_controllers"
CONTROLLER_HEALTH = "bdev_nvme_get_controller_health_info"
SUBSYSTEMS = "nvmf_get_subsystems"
VHOST = "vhost_get_controllers"

RPC_ERROR: Finding = (Health.DEGRADED, "rpc_error")
NO_DEVICE = -19
DISCOVERY = "Discovery"
LOGICAL_VOLUME = "Logical Volume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bdev:
    """``key`` stays when the block device is renamed; ``name`` is the one that people use."""

    key: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One way to a block device; ``info`` is what attaching it needs."""

    bdev: Bdev
    type: HandleType
    info: Mapping[str, str]
    traits: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``exports`` has each block device once; ``drives`` are PCI addresses."""

    version: str | None
    exports: tuple[Export, ...]
    drives: tuple[str, ...]
    findings: tuple[Finding, ...]


def read(client: spdk_rpc.Client, vhost_directory: str, grew: Grew) -> Target:
    """``grew`` tells whether a counter of the target did, see `counters`."""
    target = _Asker(client)
    version = target.ask(VERSION)
    target.listed = target.names()
    bdevs, controllers = target.objects(BDEVS), target.objects(CONTROLLERS)
    known = _Bdevs(bdevs)
    exports: dict[str, Export] = {}
    for export in [*_nvmf(target, known), *_vhost(target, known, vhost_directory)]:
        exports.setdefault(export.bdev.key, export)
    disks = _disks(target, spdk_health.disks(bdevs, controllers))
    findings = [*spdk_health.states(controllers), *spdk_health.findings(disks, grew)]
    return Target(
        version=_version(version),
        exports=tuple(exports[key] for key in sorted(exports)),
        drives=tuple(sorted(set(_driven(bdevs, controllers)))),
        findings=(*findings, *target.findings),
    )


def sensors(client: spdk_rpc.Client) -> dict[str, float]:
    """What the disks behind the target measure."""
    target = _Asker(client)
    target.listed = target.names()
    return spdk_health.sensors(_disks(target, spdk_health.disks(target.objects(BDEVS), target.objects(CONTROLLERS))))


class _Asker:
    """Asks what the target lists; keeps that a call failed, and makes nothing of answers of another shape."""

    def __init__(self, client: spdk_rpc.Client) -> None:
        self._client = client
        self.listed: frozenset[str] | None = None
        self.findings: list[Finding] = []

    def ask(self, method: str, forgiven: tuple[int, ...] = (), **params: Any) -> Any:
        """None when the target does not have the method, or the call fails."""
        if self.listed is not None and method not in self.listed:
            return None
        if self.listed is None:
            forgiven = (*forgiven, spdk_rpc.METHOD_NOT_FOUND)
        try:
            return self._client.call(method, **params)
        except spdk_rpc.Failed as exc:
            LOG.debug("SPDK: %s", exc)
            if exc.code not in forgiven:
                self.findings.append(RPC_ERROR)
            return None

    def objects(self, method: str) -> list[Object]:
        return objects(self._list(method))

    def names(self) -> frozenset[str] | None:
        """The methods of the target; None when it does not say."""
        return frozenset(names(self._list(METHODS))) or None

    def _list(self, method: str) -> list[Any]:
        answer = self.ask(method)
        if not isinstance(answer, list | None):
            self.findings.append(RPC_ERROR)
        return answer if isinstance(answer, list) else []


class _Bdevs:
    """Block devices by any of their names."""

    def __init__(self, answer: list[Object]) -> None:
        self._found: dict[str, Bdev] = {}
        for one in answer:
            name, uuid = text(one.get("name")), text(one.get("uuid"))
            aliases = names(one.get("aliases"))
            volume = next((alias for alias in aliases if "/" in alias), None)
            shown = volume if volume and one.get("product_name") == LOGICAL_VOLUME else name
            bdev = Bdev(key=uuid or name, name=shown)
            self._found |= {word: bdev for word in (name, uuid, *aliases) if word}

    def get(self, name: str) -> Bdev:
        """One that the target did not list is known by the name that its export has for it."""
        return self._found.get(name) or Bdev(key=name, name=name)


def _nvmf(target: _Asker, bdevs: _Bdevs) -> Iterator[Export]:
    """The namespaces of a subsystem that listens, by the first of its addresses."""
    for subsystem in target.objects(SUBSYSTEMS):
        listeners = objects(subsystem.get("listen_addresses"))
        if subsystem.get("subtype") == DISCOVERY or not listeners or not subsystem.get("nqn"):
            continue
        words = {trait_token(text(listener.get("trtype"))) for listener in listeners} - {""}
        for namespace in objects(subsystem.get("namespaces")):
            bdev = bdevs.get(text(namespace.get("bdev_name") or namespace.get("name")))
            if bdev.name and namespace.get("nsid") is not None:
                yield Export(
                    bdev=bdev,
                    type=HandleType.NVMF,
                    info={
                        "nqn": text(subsystem["nqn"]),
                        "nsid": text(namespace["nsid"]),
                        "transport": text(listeners[0].get("trtype")),
                        "traddr": text(listeners[0].get("traddr")),
                        "trsvcid": text(listeners[0].get("trsvcid")),
                        "bdev": bdev.name,
                    },
                    traits=frozenset(f"CUSTOM_SPDK_NVMF_{word}" for word in words),
                )


def _vhost(target: _Asker, bdevs: _Bdevs, directory: str) -> Iterator[Export]:
    for controller in target.objects(VHOST):
        name = text(controller.get("ctrlr"))
        socket = text(controller.get("socket")) or name
        place = {"controller": name, "socket": socket if socket.startswith("/") else f"{directory}/{socket}"}
        backend = next(iter(objects(controller.get("backend_specific"))), {})
        disks: list[tuple[str, Object, dict[str, str]]] = [
            ("BLK", block, {}) for block in objects(backend.get("block"))
        ]
        disks += [
            ("SCSI", lun, {"target": text(device.get("id")), "lun": text(lun.get("id"))})
            for device in objects(backend.get("scsi"))
            for lun in objects(device.get("luns"))
        ]
        for kind, disk, more in disks:
            bdev = bdevs.get(text(disk.get("bdev") or disk.get("bdev_name")))
            if name and bdev.name:
                yield Export(
                    bdev=bdev,
                    type=HandleType.VHOST_USER,
                    info=place | more | {"bdev": bdev.name},
                    traits=frozenset({f"CUSTOM_SPDK_VHOST_{kind}"}),
                )


def _version(answer: Any) -> str | None:
    """``24.09`` of ``SPDK v24.09``, with what follows up to a blank."""
    about = next(iter(objects(answer)), {})
    match = re.search(r"\d+\.\d+\S*", text(about.get("version")))
    return match[0] if match else None


def _driven(bdevs: list[Object], controllers: list[Object]) -> Iterator[str]:
    """The PCI functions that the target has taken from the host."""
    paths = [path for bdev in bdevs for path in nvme(bdev)]
    paths += controller_paths(controllers)
    for path in paths:
        transport = next(iter(objects(path.get("trid"))), {})
        for word in (path.get("pci_address"), transport.get("traddr")):
            if ADDRESS.fullmatch(text(word).lower()):
                yield text(word).lower()


def _disks(target: _Asker, wanted: list[str]) -> dict[str, Smart]:
    """By name; one that the target cannot ask has no entry, and with several answers the last one counts."""
    found: dict[str, Smart] = {}
    for name in wanted:
        about = target.ask(CONTROLLER_HEALTH, forgiven=(spdk_rpc.METHOD_NOT_FOUND, NO_DEVICE), name=name)
        for values in objects(about):
            found[name] = spdk_health.smart(values)
    return found
