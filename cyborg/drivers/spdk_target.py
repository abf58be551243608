# SPDX-License-Identifier: Apache-2.0
"""What an SPDK target says of itself: its version, what it exports, which PCI functions it drives, how it is.

Which methods a target has depends on how it was built, so it is asked for those that it lists. Each answer may be
missing: then only what it would have told is not known.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oslo_log import log

from cyborg.domain.report import HandleType, Health
from cyborg.domain.view import trait_token
from cyborg.drivers import spdk_rpc
from cyborg.drivers.pci_function import ADDRESS
from cyborg.drivers.pci_health import Finding

LOG = log.getLogger(__name__)

VERSION = "spdk_get_version"
METHODS = "rpc_get_methods"
BDEVS = "bdev_get_bdevs"
CONTROLLERS = "bdev_nvme_get_controllers"
CONTROLLER_HEALTH = "bdev_nvme_get_controller_health_info"
SUBSYSTEMS = "nvmf_get_subsystems"
VHOST = "vhost_get_controllers"

RPC_ERROR: Finding = (Health.DEGRADED, "rpc_error")
NOT_ENABLED: Finding = (Health.DEGRADED, "controller_not_enabled")
SPARE_LOW: Finding = (Health.DEGRADED, "spare_low")
WORN_OUT: Finding = (Health.DEGRADED, "worn_out")
MEDIA_ERRORS: Finding = (Health.DEGRADED, "media_errors")
ENABLED = "enabled"
NO_DEVICE = -19
DISCOVERY = "Discovery"
LOGICAL_VOLUME = "Logical Volume"

Object = Mapping[str, Any]
Grew = Callable[[str, int | None], bool]


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
    findings = [*_states(controllers), *_wear(target, bdevs, controllers, grew)]
    return Target(
        version=_version(version),
        exports=tuple(exports[key] for key in sorted(exports)),
        drives=tuple(sorted(set(_driven(bdevs, controllers)))),
        findings=(*findings, *target.findings),
    )


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
        return frozenset(_names(self._list(METHODS))) or None

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
            name, uuid = _text(one.get("name")), _text(one.get("uuid"))
            aliases = _names(one.get("aliases"))
            volume = next((alias for alias in aliases if "/" in alias), None)
            shown = volume if volume and one.get("product_name") == LOGICAL_VOLUME else name
            bdev = Bdev(key=uuid or name, name=shown)
            self._found |= {word: bdev for word in (name, uuid, *aliases) if word}

    def get(self, name: str) -> Bdev:
        """One that the target did not list is known by the name that its export has for it."""
        return self._found.get(name) or Bdev(key=name, name=name)


def objects(answer: Any) -> list[Object]:
    """The objects of a list, or the only one; none of anything else."""
    items = answer if isinstance(answer, list) else [answer]
    return [item for item in items if isinstance(item, dict)]


def _names(answer: Any) -> list[str]:
    return [name for name in answer if isinstance(name, str)] if isinstance(answer, list) else []


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _nvmf(target: _Asker, bdevs: _Bdevs) -> Iterator[Export]:
    """The namespaces of a subsystem that listens, by the first of its addresses."""
    for subsystem in target.objects(SUBSYSTEMS):
        listeners = objects(subsystem.get("listen_addresses"))
        if subsystem.get("subtype") == DISCOVERY or not listeners or not subsystem.get("nqn"):
            continue
        words = {trait_token(_text(listener.get("trtype"))) for listener in listeners} - {""}
        for namespace in objects(subsystem.get("namespaces")):
            bdev = bdevs.get(_text(namespace.get("bdev_name") or namespace.get("name")))
            if bdev.name and namespace.get("nsid") is not None:
                yield Export(
                    bdev=bdev,
                    type=HandleType.NVMF,
                    info={
                        "nqn": _text(subsystem["nqn"]),
                        "nsid": _text(namespace["nsid"]),
                        "transport": _text(listeners[0].get("trtype")),
                        "traddr": _text(listeners[0].get("traddr")),
                        "trsvcid": _text(listeners[0].get("trsvcid")),
                        "bdev": bdev.name,
                    },
                    traits=frozenset(f"CUSTOM_SPDK_NVMF_{word}" for word in words),
                )


def _vhost(target: _Asker, bdevs: _Bdevs, directory: str) -> Iterator[Export]:
    for controller in target.objects(VHOST):
        name = _text(controller.get("ctrlr"))
        socket = _text(controller.get("socket")) or name
        place = {"controller": name, "socket": socket if socket.startswith("/") else f"{directory}/{socket}"}
        backend = next(iter(objects(controller.get("backend_specific"))), {})
        disks: list[tuple[str, Object, dict[str, str]]] = [
            ("BLK", block, {}) for block in objects(backend.get("block"))
        ]
        disks += [
            ("SCSI", lun, {"target": _text(device.get("id")), "lun": _text(lun.get("id"))})
            for device in objects(backend.get("scsi"))
            for lun in objects(device.get("luns"))
        ]
        for kind, disk, more in disks:
            bdev = bdevs.get(_text(disk.get("bdev") or disk.get("bdev_name")))
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
    match = re.search(r"\d+\.\d+\S*", _text(about.get("version")))
    return match[0] if match else None


def _driven(bdevs: list[Object], controllers: list[Object]) -> Iterator[str]:
    """The PCI functions that the target has taken from the host."""
    paths = [path for bdev in bdevs for path in _nvme(bdev)]
    paths += [path for controller in controllers for path in objects(controller.get("ctrlrs"))]
    for path in paths:
        transport = next(iter(objects(path.get("trid"))), {})
        for word in (path.get("pci_address"), transport.get("traddr")):
            if ADDRESS.fullmatch(_text(word).lower()):
                yield _text(word).lower()


def _nvme(bdev: Object) -> list[Object]:
    """One path, or several, depending on the release."""
    return [path for about in objects(bdev.get("driver_specific")) for path in objects(about.get("nvme"))]


def _states(controllers: list[Object]) -> Iterator[Finding]:
    for path in (path for controller in controllers for path in objects(controller.get("ctrlrs"))):
        if path.get("state", ENABLED) != ENABLED:
            yield NOT_ENABLED


def _wear(target: _Asker, bdevs: list[Object], controllers: list[Object], grew: Grew) -> Iterator[Finding]:
    """``Nvme0`` is the controller of the block device ``Nvme0n1``."""
    named = {_text(controller.get("name")) for controller in controllers}
    guessed = {re.sub(r"n\d+$", "", _text(bdev.get("name"))) for bdev in bdevs if _nvme(bdev)}
    for name in sorted((named | guessed) - {""}):
        about = target.ask(CONTROLLER_HEALTH, forgiven=(spdk_rpc.METHOD_NOT_FOUND, NO_DEVICE), name=name)
        for values in objects(about):
            spare, least = values.get("available_spare_percentage"), values.get("available_spare_threshold_percentage")
            used, lost = values.get("percentage_used"), values.get("media_errors")
            if grew(f"{name} media_errors", lost if isinstance(lost, int) else None):
                yield MEDIA_ERRORS
            if isinstance(spare, int) and isinstance(least, int) and spare < least:
                yield SPARE_LOW
            if isinstance(used, int) and used >= 100:  # noqa: PLR2004
                yield WORN_OUT
