# SPDX-License-Identifier: Apache-2.0
"""Writing as root: what may be asked, who has to ask, and the helper process itself."""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from oslo_privsep import comm

from cyborg.domain import errors
from cyborg.drivers import actions, commands, pci_work, privileged
from cyborg.drivers.host import Host

PF = "0000:3b:00.0"
UUID = "5f5e4d3c-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ((actions.VF_COUNT, PF, "4"), (f"bus/pci/devices/{PF}/sriov_numvfs", "4")),
        ((actions.RESET, "10000:01:00.0"), ("bus/pci/devices/10000:01:00.0/reset", "1")),
        ((actions.REMOVE_MDEV, UUID), (f"bus/mdev/devices/{UUID}/remove", "1")),
        ((actions.UNBIND, PF), (f"bus/pci/devices/{PF}/driver/unbind", PF)),
        ((actions.PROBE, PF), ("bus/pci/drivers_probe", PF)),
        ((actions.RESET_BOARD, PF), (f"bus/pci/devices/{PF}/mgmt_reset", "1")),
        ((actions.QAT_SERVICES, PF, "asym;sym"), (f"bus/pci/devices/{PF}/qat/cfg_services", "asym;sym")),
        ((actions.QAT_STATE, PF, "down"), (f"bus/pci/devices/{PF}/qat/state", "down")),
        ((actions.OVERRIDE_DRIVER, PF, ""), (f"bus/pci/devices/{PF}/driver_override", "\n")),
    ],
)
def test_an_action_says_where_and_what(asked: tuple[str, ...], written: tuple[str, str]) -> None:
    assert actions.resolve(*asked) == written


@pytest.mark.parametrize(
    "asked",
    [
        ("rm", PF, "1"),
        (actions.VF_COUNT, "../../../etc/passwd", "4"),
        (actions.VF_COUNT, f"{PF}/../..", "4"),
        (actions.VF_COUNT, f"{PF}\n", "4"),
        (actions.VF_COUNT, PF.upper(), "4"),
        (actions.VF_COUNT, PF, "-1"),
        (actions.VF_COUNT, PF, "4\n5"),
        (actions.VF_COUNT, PF, "٤٤٤٤٤٤"),
        (actions.RESET, PF, "0"),
        (actions.REMOVE_MDEV, PF, "1"),
        (actions.OVERRIDE_DRIVER, PF, "vfio-pci;reboot"),
        (actions.VF_AUTOPROBE, PF, "2"),
        (actions.QAT_STATE, PF, "up\ndown"),
        (actions.QAT_SERVICES, PF, "sym;asym;"),
        (actions.QAT_SERVICES, PF, "sym;crypto"),
    ],
)
def test_nothing_else_can_be_asked(asked: tuple[str, str, str]) -> None:
    with pytest.raises(errors.InvalidRequest):
        actions.resolve(*asked)


def test_a_host_that_is_no_machine_is_written_to_directly(tmp_path: Path) -> None:
    place = tmp_path / "bus/pci/devices" / PF
    place.mkdir(parents=True)
    Host(sysfs=tmp_path).act(actions.VF_COUNT, PF, "4")
    assert (place / "sriov_numvfs").read_text() == "4"


def test_an_error_names_the_attribute_and_no_path(tmp_path: Path) -> None:
    host = Host(sysfs=tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        host.act(actions.VF_COUNT, PF, "4")
    assert caught.value.filename == "sriov_numvfs"
    with pytest.raises(errors.DriverError) as told, pci_work.refusals(f"cut {PF}"):
        host.act(actions.VF_COUNT, PF, "4")
    assert told.value.message == f"Cannot cut {PF}: the kernel answers ENOENT at sriov_numvfs. Its log says more."


def test_not_even_a_file_that_no_action_knows_is_told_by_its_path(tmp_path: Path) -> None:
    host = Host(sysfs=tmp_path)
    with pytest.raises(errors.DriverError, match="ENOENT at colour") as told, pci_work.refusals("shine"):
        host.write(host.sys("bus/colour"), "red")
    assert str(tmp_path) not in told.value.message


def test_a_helper_that_does_not_answer_is_an_error_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def be_silent(*_asked: object) -> None:
        raise comm.PrivsepTimeout

    monkeypatch.setattr(privileged, "_start", lambda *_: None)
    monkeypatch.setattr(privileged, "_act", be_silent)
    monkeypatch.setattr(privileged, "_command", be_silent)
    monkeypatch.setattr(privileged, "_command_disk", be_silent)
    for ask in (
        lambda: privileged.act(actions.RESET, PF, "1", ""),
        lambda: privileged.command(commands.NVME_SMART, PF, 0, b"", ""),
        lambda: privileged.command(commands.DFL_RELEASE, PF, 0, b"", ""),
    ):
        with pytest.raises(TimeoutError) as caught:
            ask()
        assert caught.value.errno == errno.ETIMEDOUT


AS_A_USER = textwrap.dedent(
    """
    import os, sys
    from cyborg.drivers import privileged
    from cyborg.drivers.host import Host
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    host = Host(helper_command=sys.argv[1])
    try:
        host.act("reset", "ffff:ff:1f.7")
    except FileNotFoundError:
        print("the kernel was asked")
    """
)
AS_ROOT = textwrap.dedent(
    """
    from oslo_privsep import priv_context
    from cyborg.drivers import privileged
    privileged.cyborg_sys_admin.start(priv_context.Method.FORK)
    try:
        privileged.act("reset", "ffff:ff:1f.7", "1", "")
    except FileNotFoundError:
        print("the kernel was asked")
    privileged.cyborg_disk_admin.start(priv_context.Method.FORK)
    for command, value, data in (("nvme_sanitize", 2, b""), ("dfl_program", 0, b"bits")):
        try:
            privileged.command(command, "ffff:ff:1f.7", value, data, "")
        except OSError as exc:
            print("the hardware was asked", exc.errno)
    for ask in (
        lambda: privileged._act("reset", "../../../tmp", "1"),
        lambda: privileged._command("nvme_sanitize", "../../../tmp", 2, b""),
        lambda: privileged._command_disk("nvme_sanitize", "ffff:ff:1f.7", 1),
        lambda: privileged._command_disk("dfl_program", "ffff:ff:1f.7", 0),
    ):
        try:
            ask()
        except Exception as exc:
            print(type(exc).__name__)
    """
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process to root")
def test_the_helper_asks_the_kernel_and_checks_for_itself() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", AS_ROOT], capture_output=True, text=True, check=False)
    asked = ["the kernel was asked", *[f"the hardware was asked {errno.ENODEV}"] * 2]
    assert done.stdout.splitlines() == [*asked, *["InvalidRequest"] * 4], done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_without_a_helper_is_told() -> None:
    command = [sys.executable, "-W", "ignore", "-c", AS_A_USER, "/no/such/helper"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "helper_command" in done.stderr
    assert "/no/such/helper" not in done.stderr.splitlines()[-1]
