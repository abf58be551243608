# SPDX-License-Identifier: Apache-2.0
"""Commands to hardware: what may be asked, which node is asked for an address, and what is left when it fails."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from cyborg.domain import errors
from cyborg.drivers import commands, dfl_ioctl, nvme_ioctl
from cyborg.drivers.host import Host

PF = "0000:5e:00.0"


@pytest.mark.parametrize(
    "asked",
    [
        ("rm", PF, 0, b""),
        (commands.NVME_CONTROLLER, "../../etc", 0, b""),
        (commands.NVME_CONTROLLER, f"{PF}\n", 0, b""),
        (commands.NVME_CONTROLLER, PF, 1, b""),
        (commands.NVME_SANITIZE, PF, 1, b""),
        (commands.NVME_SANITIZE, PF, 3, b""),
        (commands.NVME_SANITIZE, PF, 2, b"x"),
        (commands.NVME_FORMAT, PF, 0, b""),
        (commands.NVME_FORMAT, PF, 0xFFFFFFFF, b""),
        (commands.DFL_PROGRAM, PF, 0, b""),
        (commands.DFL_PROGRAM, PF, 16, b"x"),
        (commands.DFL_RELEASE, PF, 16, b""),
        (commands.DFL_ASSIGN, PF, 0, b"x"),
        (commands.NVME_SMART, PF, 1, b""),
    ],
)
def test_nothing_but_the_table_can_be_asked(asked: tuple[str, str, int, bytes], tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidRequest):
        commands.Machine(tmp_path, tmp_path).run(*asked)


def test_a_host_that_is_no_machine_has_no_hardware(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no machine") as caught:
        Host(sysfs=tmp_path).command(commands.NVME_CONTROLLER, PF)
    assert caught.value.errno == errno.ENXIO


@pytest.fixture
def machine(tmp_path: Path) -> commands.Machine:
    """One whose device nodes are files: they take no ioctl, and can be read."""
    function = tmp_path / "sys/bus/pci/devices" / PF
    for name in ("nvme/nvme7/nvme7n1", "nvme/nvme7/nvme7c7n2", "nvme/nvme8", "fpga_region/region0/dfl-fme.3"):
        (function / name).mkdir(parents=True)
    (function / "nvme/nvme8/transport").write_text("tcp\n")
    (tmp_path / "dev").mkdir()
    for name in ("nvme7", "nvme7n1", "nvme7n2", "dfl-fme.3"):
        (tmp_path / "dev" / name).touch()
    return commands.Machine(tmp_path / "sys", tmp_path / "dev")


@pytest.mark.parametrize(
    ("command", "value", "data"),
    [
        (commands.NVME_CONTROLLER, 0, b""),
        (commands.NVME_ACTIVE, 0, b""),
        (commands.NVME_ALLOCATED, 0, b""),
        (commands.NVME_NAMESPACE, 1, b""),
        (commands.NVME_SMART, 0, b""),
        (commands.NVME_SANITIZE_LOG, 0, b""),
        (commands.NVME_SANITIZE, 2, b""),
        (commands.NVME_FORMAT, 1, b""),
        (commands.DFL_PROGRAM, 0, b"bits"),
        (commands.DFL_RELEASE, 1, b""),
        (commands.DFL_ASSIGN, 1, b""),
    ],
)
def test_the_node_of_the_function_is_what_is_asked(
    machine: commands.Machine, command: str, value: int, data: bytes
) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number says it all
        machine.run(command, PF, value, data)
    assert caught.value.errno == errno.ENOTTY


@pytest.mark.parametrize("command", [commands.NVME_SANITIZE, commands.NVME_SAMPLE])
def test_every_disk_of_the_controller_is_opened_before_one_is_erased(
    machine: commands.Machine, tmp_path: Path, command: str
) -> None:
    (tmp_path / "dev/nvme7n2").unlink()
    with pytest.raises(FileNotFoundError, match="nvme7n2"):
        machine.run(command, PF, 2 if command == commands.NVME_SANITIZE else 0)


def test_a_function_without_a_controller_or_engine_is_no_device(tmp_path: Path) -> None:
    for command, data in ((commands.NVME_CONTROLLER, b""), (commands.DFL_PROGRAM, b"x")):
        with pytest.raises(OSError, match=PF) as caught:
            commands.Machine(tmp_path, tmp_path).run(command, PF, 0, data)
        assert caught.value.errno == errno.ENODEV


def test_of_a_disk_only_marks_of_some_blocks_leave_the_process(machine: commands.Machine, tmp_path: Path) -> None:
    block = os.urandom(nvme_ioctl.BLOCK)
    (tmp_path / "dev/nvme7n1").write_bytes(block + bytes(3 * nvme_ioctl.BLOCK))
    (tmp_path / "dev/nvme7n2").write_bytes(b"\xff" * nvme_ioctl.BLOCK)
    sample = machine.run(commands.NVME_SAMPLE, PF)
    assert sample == hashlib.sha256(block).digest() + bytes(96) + b"\xff" * 32


def test_structures_have_the_size_that_the_kernel_knows_them_by() -> None:
    assert memoryview(nvme_ioctl.PassthruCmd()).nbytes == nvme_ioctl.ADMIN_CMD >> 16 & 0x3FFF == 72
    assert memoryview(dfl_ioctl.PortPr()).nbytes == 24
    assert dfl_ioctl.PORT_RELEASE >> 16 & 0x3FFF == dfl_ioctl.PORT_ASSIGN >> 16 & 0x3FFF == 4


def test_an_error_of_a_command_names_it_and_no_node(machine: commands.Machine, tmp_path: Path) -> None:
    (tmp_path / "dev/nvme7").unlink()
    host = Host(sysfs=tmp_path / "sys", commands=machine)
    with pytest.raises(FileNotFoundError) as caught:
        host.command(commands.NVME_CONTROLLER, PF)
    assert caught.value.filename == commands.NVME_CONTROLLER
    assert str(tmp_path) not in str(caught.value)
