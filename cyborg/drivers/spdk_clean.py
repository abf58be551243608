# SPDX-License-Identifier: Apache-2.0
"""What an SPDK target exports, emptied for its next user, where that can be done and seen.

A target has no call that empties a block device of any kind. A whole NVMe disk can be formatted, with its data erased,
by a command that the target passes on (``bdev_nvme_send_cmd``). A logical volume, a part of a disk or a device of
another kind cannot: it is refused, as is what somebody is still connected to. The export stays as it is.
"""

import base64
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from cyborg.domain import errors
from cyborg.domain.host_work import Unit
from cyborg.drivers import nvme_pages, spdk_rpc, spdk_target
from cyborg.drivers.nvme_ioctl import (
    ACTIVE,
    CONTROLLER,
    FLBAS,
    FORMAT,
    IDENTIFY,
    NAMESPACE,
    PAGE,
    USER_DATA_ERASE,
    mark,
)
from cyborg.drivers.spdk_answers import objects

SEND = "bdev_nvme_send_cmd"
CONNECTED = "nvmf_subsystem_get_controllers"
NVMF = "nqn"
READ = 0x02
#: A command, its first and tenth double words, and where a completion has the status.
COMMAND, CDW0, NSID, CDW10, STATUS = 64, 0, 4, 40, 14
PLACES = 16


def clean(client: spdk_rpc.Client, unit: Unit) -> None:
    """Raises DriverError when the block device is not known to be empty, InUse while it has a user."""
    bdev = _find(client, unit)
    _check_users(client, unit)
    disk = _Disk(client, bdev, str(bdev.get("name")))
    before = disk.sample()
    about = nvme_pages.controller(disk.identify(CONTROLLER))
    active = nvme_pages.namespaces(disk.identify(ACTIVE))
    if not about.formats or (about.formats_all and len(active) > 1):
        raise disk.unsafe("cannot be formatted by itself")
    layout = disk.identify(NAMESPACE, disk.nsid)[FLBAS] & 0xF
    disk.send(FORMAT, disk.nsid, {CDW10: layout | USER_DATA_ERASE << 9})
    known = nvme_pages.namespace(disk.identify(NAMESPACE, disk.nsid)).reads_as_erased
    left = nvme_pages.left_over(before, disk.sample(), known=known)
    if left:
        raise disk.unsafe(f"says that it is erased, and {left} blocks of a sample still have data")


def _find(client: spdk_rpc.Client, unit: Unit) -> Mapping[str, Any]:
    for bdev in objects(_call(client, spdk_target.BDEVS)):
        if unit.part in (bdev.get("uuid"), bdev.get("name")):
            return bdev
    raise errors.DriverError(f"The target {unit.address} has no block device {unit.part} any more.")


def _check_users(client: spdk_rpc.Client, unit: Unit) -> None:
    nqn, name = unit.info.get(NVMF), unit.info.get("controller")
    if nqn:
        users = objects(_call(client, CONNECTED, nqn=nqn))
    else:
        controllers = objects(_call(client, spdk_target.VHOST))
        users = [one for each in controllers if each.get("ctrlr") == name for one in each.get("sessions") or ()]
    if users:
        raise errors.InUse(f"Somebody is still connected to {nqn or name} of the target {unit.address}.")


class _Disk:
    def __init__(self, client: spdk_rpc.Client, bdev: Mapping[str, Any], name: str) -> None:
        self._client = client
        self._name = name
        self._block, self._blocks = int(bdev.get("block_size") or 0), int(bdev.get("num_blocks") or 0)
        paths = [one for about in objects(bdev.get("driver_specific")) for one in _paths(about)]
        if len(paths) != 1 or not self._block or not self._blocks:
            raise self.unsafe(f"({bdev.get('product_name')}) is no whole NVMe disk, and nothing else can be emptied")
        namespace = next(iter(objects(paths[0].get("ns_data"))), {})
        suffix = re.search(r"n(\d+)$", name)
        self.nsid = int(namespace.get("id") or (suffix[1] if suffix else 0))
        self._controller = re.sub(r"n\d+$", "", name)

    def identify(self, what: int, nsid: int = 0) -> bytes:
        return self.send(IDENTIFY, nsid, {CDW10: what}, length=PAGE)

    def sample(self) -> bytes:
        """As `nvme_ioctl.sample`."""
        places = sorted({0, self._blocks - 1, *(self._blocks * number // PLACES for number in range(PLACES))})
        blocks = (self.send(READ, self.nsid, {CDW10: place}, self._block, kind="io") for place in places)
        return b"".join(mark(block) for block in blocks)

    def send(self, opcode: int, nsid: int, words: Mapping[int, int], length: int = 0, kind: str = "admin") -> bytes:
        """The data that comes with it; raises DriverError for any status but success."""
        command = bytearray(COMMAND)
        command[CDW0] = opcode
        struct.pack_into("<I", command, NSID, nsid)
        for place, word in words.items():
            struct.pack_into("<Q", command, place, word)
        answer = _call(
            self._client,
            SEND,
            name=self._controller,
            cmd_type=kind,
            data_direction="c2h",
            cmdbuf=base64.urlsafe_b64encode(command).decode(),
            **({"data_len": length} if length else {}),
        )
        completion, data = (_bytes(answer, word) for word in ("cpl", "data"))
        status = struct.unpack_from("<H", completion, STATUS)[0] >> 1 if len(completion) > STATUS + 1 else None
        if status != 0 or len(data) < length:
            raise self.unsafe(f"answers command {opcode:#x} with status {status}")
        return data[:length]

    def unsafe(self, what: str) -> errors.DriverError:
        return errors.DriverError(
            f"The block device {self._name} {what}. Nothing says that it is safe for another user: empty it by hand, "
            "or take back its export."
        )


def _paths(about: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from objects(about["nvme"]) if "nvme" in about else ()


def _bytes(answer: Any, name: str) -> bytes:
    text = answer.get(name) if isinstance(answer, dict) else None
    return base64.urlsafe_b64decode(text) if isinstance(text, str) else b""


def _call(client: spdk_rpc.Client, method: str, **params: Any) -> Any:
    try:
        return client.call(method, **params)
    except spdk_rpc.Failed as exc:
        raise errors.DriverError(
            f"The target does not do {method}: {exc}. Nothing says that the export is clean."
        ) from exc
