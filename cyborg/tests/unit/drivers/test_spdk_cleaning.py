# SPDX-License-Identifier: Apache-2.0
"""What an SPDK target exports, between two users: a whole disk is formatted through it, all else is refused."""

import base64
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import errors, report
from cyborg.domain.host_work import Unit
from cyborg.drivers.twin_disk import Disk
from cyborg.tests.unit.drivers import builders
from cyborg.tests.unit.drivers.fakes import FakeSpdk

SOCKET = "/run/spdk.sock"
KEY = "00000000-0000-0000-0000-00000000a1b2"
NQN = "nqn.2016-06.io.spdk:cnode1"
NVMF = {"nqn": NQN, "nsid": "1", "transport": "TCP", "traddr": "192.0.2.10", "trsvcid": "4420", "bdev": "Nvme0n1"}
BDEV = {
    "name": "Nvme0n1",
    "uuid": KEY,
    "product_name": "NVMe disk",
    "block_size": 512,
    "num_blocks": 4,
    "driver_specific": {"nvme": [{"pci_address": "0000:08:00.0", "ns_data": {"id": 1}}]},
}
INTERNAL = {"error": {"code": -32603, "message": "Internal error"}}


class Target:
    """A target with one disk, of which it passes on commands; ``orders`` are their opcodes."""

    def __init__(self, directory: Path, disk: dict[str, Any] | None = None, **table: Any) -> None:
        self.disk = Disk({"sanitize": [], **(disk or {})})
        self.disk.soil()
        self.orders: list[int] = []
        self._marks: dict[bytes, bytes] = {}
        whole = {"bdev_get_bdevs": [BDEV], "nvmf_subsystem_get_controllers": [], "bdev_nvme_send_cmd": self._command}
        self._server = FakeSpdk(directory / "socket", {**whole, **table})
        self.driver = builders.driver("spdk", {"sockets": [SOCKET]}, sockets={SOCKET: str(directory / "socket")})

    def stop(self) -> None:
        self._server.stop()

    def clean(self, **changes: Any) -> None:
        about = {"uuid": KEY, "driver": "spdk_driver", "address": SOCKET, "vendor": "spdk", "model": "target"}
        unit = {"part": KEY, "key": "bdev", "type": report.HandleType.NVMF, "info": NVMF}
        self.driver.clean(None, Unit(**{**about, **unit, **changes}))

    def _command(self, params: Mapping[str, Any]) -> Any:
        command = base64.urlsafe_b64decode(params["cmdbuf"])
        assert params["name"] == "Nvme0"
        opcode, nsid = command[0], struct.unpack_from("<I", command, 4)[0]
        word = struct.unpack_from("<Q", command, 40)[0]
        self.orders.append(opcode)
        status, data = 0, b""
        try:
            if (params["cmd_type"], opcode) == ("io", 0x02):
                # A block that is full of one byte, or of what its mark says.
                data = self.disk.sample(0)[32 * word :][:32] * 16
            elif opcode == 0x06:
                data = {0: self.disk.namespace, 1: self.disk.controller, 2: self.disk.active}[word](nsid)
            else:
                assert word >> 9 & 7 == 1
                data = self.disk.format(nsid)
        except OSError:
            status = 0x2001
        answer = {"cpl": base64.urlsafe_b64encode(bytes(14) + struct.pack("<H", status << 1)).decode()}
        return answer | ({"data": base64.urlsafe_b64encode(data).decode()} if data else {})


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[Any]:
    made: list[Target] = []

    def make(disk: dict[str, Any] | None = None, **table: Any) -> Target:
        place = tmp_path / str(len(made))
        place.mkdir()
        made.append(Target(place, disk, **table))
        return made[-1]

    yield make
    for target in made:
        target.stop()


def test_a_whole_disk_is_formatted_and_looked_at(targets: Any) -> None:
    target = targets()
    target.clean()
    assert not target.disk.dirty
    assert target.orders.count(0x80) == 1
    target.clean()


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        ({"format": False}, "cannot be formatted by itself"),
        ({"formats_all": True, "namespaces": 2}, "cannot be formatted by itself"),
        ({"fault": "fails"}, "answers command 0x80 with status 8193"),
        ({"fault": "lies"}, "4 blocks of a sample still have data"),
        ({"fault": "lies", "dlfeat": 0}, "4 blocks of a sample still have data"),
    ],
)
def test_a_disk_that_is_not_known_to_be_empty_is_not_clean(targets: Any, disk: dict[str, Any], words: str) -> None:
    target = targets(disk)
    with pytest.raises(errors.DriverError, match=words):
        target.clean()
    assert target.disk.dirty


@pytest.mark.parametrize(
    ("bdev", "words"),
    [
        ({"driver_specific": {}, "product_name": "Malloc disk"}, r"\(Malloc disk\) is no whole NVMe disk"),
        ({"driver_specific": {"lvol": {}}, "product_name": "Logical Volume"}, "is no whole NVMe disk"),
        ({"driver_specific": {"nvme": [{}, {}]}}, "is no whole NVMe disk"),
        ({"num_blocks": 0}, "is no whole NVMe disk"),
        ({"uuid": "other", "name": "Nvme1n1"}, "has no block device"),
    ],
)
def test_what_cannot_be_emptied_is_refused(targets: Any, bdev: dict[str, Any], words: str) -> None:
    target = targets(bdev_get_bdevs=[{**BDEV, **bdev}])
    with pytest.raises(errors.DriverError, match=words):
        target.clean()
    assert target.orders == []


def test_nothing_is_erased_under_somebody_who_is_connected(targets: Any) -> None:
    target = targets(nvmf_subsystem_get_controllers=[{"cntlid": 1}])
    with pytest.raises(errors.InUse, match=NQN):
        target.clean()
    guest = targets(vhost_get_controllers=[{"ctrlr": "disk.0", "sessions": [{"vid": 0}]}])
    with pytest.raises(errors.InUse, match=r"disk\.0"):
        guest.clean(type=report.HandleType.VHOST_USER, info={"controller": "disk.0", "socket": "/x"})
    assert target.orders == guest.orders == []


@pytest.mark.parametrize("method", ["bdev_get_bdevs", "nvmf_subsystem_get_controllers", "bdev_nvme_send_cmd"])
def test_a_call_that_fails_is_no_cleaning(targets: Any, method: str) -> None:
    with pytest.raises(errors.DriverError, match=f"does not do {method}"):
        targets(**{method: INTERNAL}).clean()


def test_a_target_that_is_gone_or_was_never_configured_cleans_nothing(targets: Any) -> None:
    target = targets()
    target.driver = builders.driver("spdk", {"sockets": [SOCKET]}, sockets={SOCKET: "/no/such/socket"})
    with pytest.raises(errors.DriverError, match="Nobody listens"):
        target.clean()
    with pytest.raises(errors.NotFound):
        target.clean(address="/run/other.sock")
