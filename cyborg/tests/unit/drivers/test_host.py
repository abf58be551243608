# SPDX-License-Identifier: Apache-2.0
"""The view of a host: what reads as nothing, and what is an error."""

import errno
import logging
from pathlib import Path

import pytest

from cyborg.domain import errors
from cyborg.drivers import pci_health
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.sysfs import Node
from cyborg.tests.unit.drivers import builders

CARD = {"vendor": 0x10DE, "device": 0x26B9, "class": 0x030200, "iommu_group": 7}


def _only(host: Host) -> PciFunction:
    (function,) = host.pci()
    return function


def test_a_host_without_sysfs_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(errors.HostUnreadable, match="PCI devices of this host cannot be listed"):
        Host(sysfs=tmp_path / "sys").pci()


def test_an_empty_bus_has_no_functions(tmp_path: Path) -> None:
    assert builders.host(tmp_path, {}).pci() == ()


def test_running_out_of_file_descriptors_is_not_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = builders.host(tmp_path, {"0000:3b:00.0": CARD})

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("os.open", full)
    with pytest.raises(errors.HostUnreadable, match="Too many open files"):
        host.pci()


@pytest.mark.parametrize(
    ("content", "text", "number"),
    [
        ("1", "1", 1),
        (" -1 ", "-1", -1),
        ({"raw": ""}, "", None),
        ({"hex": "ff31"}, "�1", None),
        ({"error": "EIO"}, None, None),
        ({"inner": {}}, None, None),
    ],
)
def test_a_file_reads_as_its_text_or_as_nothing(
    tmp_path: Path, content: object, text: str | None, number: int | None
) -> None:
    file = builders.host(tmp_path, {}, {"sys/file": content}).sys("file")
    assert (file.text(), file.number()) == (text, number)


def test_links_lead_to_places_inside_the_root(tmp_path: Path) -> None:
    host = builders.host(tmp_path, {"0000:3b:00.0": CARD | {"driver": "nvidia"}})
    driver = (host.sys("bus/pci/devices") / "0000:3b:00.0/driver").target()
    assert driver == host.sys("bus/pci/drivers/nvidia")


@pytest.mark.parametrize("link", ["../../../../../../../../etc", "/etc/passwd"])
def test_links_that_leave_the_root_lead_nowhere(tmp_path: Path, link: str) -> None:
    host = builders.host(tmp_path, {"0000:3b:00.0": CARD | {"driver_link": {"link": link}}})
    assert (host.sys("bus/pci/devices/0000:3b:00.0") / "driver_link").target() is None


def test_numbers_in_names_are_in_numeric_order(tmp_path: Path) -> None:
    host = builders.host(tmp_path, {}, {"sys/d": {"vf10": "", "vf9": "", "other": ""}})
    assert [node.name for node in host.sys("d").children("vf*")] == ["vf9", "vf10"]


def test_a_search_matches_each_part_of_the_path(tmp_path: Path) -> None:
    host = builders.host(tmp_path, {}, {"sys/d": {"a": {"hwmon": {"hwmon3": {}}}, "b": {}}})
    assert [node.path for node in host.sys("d").search("*/hwmon/hwmon*")] == ["d/a/hwmon/hwmon3"]


def test_a_write_goes_to_the_hook_and_its_error_to_the_caller(tmp_path: Path) -> None:
    def busy(path: Path, text: str) -> None:
        raise OSError(errno.EBUSY, f"{path.name} <- {text}")

    host = Host(sysfs=tmp_path, write_hook=busy)
    with pytest.raises(OSError, match="sriov_numvfs <- 4"):
        host.write(Node(root=tmp_path, path="sriov_numvfs"), "4")


def test_without_a_hook_a_write_changes_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    host = Host(sysfs=tmp_path)
    host.write(host.sys("file"), "1")
    assert host.sys("file").text() == "1"


def test_only_the_real_sysfs_is_this_machine(tmp_path: Path) -> None:
    assert Host().is_this_machine
    assert not Host(sysfs=tmp_path).is_this_machine


def test_a_pf_and_its_vfs_know_each_other(tmp_path: Path) -> None:
    host = builders.host(
        tmp_path,
        {"0000:3b:00.0": CARD, "0000:3b:00.4": CARD | {"physfn": "0000:3b:00.0"}, "0000:3b:00.5": "vanished"},
    )
    pf, vf = host.pci()
    assert pf.virtfns == {0: vf}
    assert vf.physfn is pf
    assert (pf.is_vf, vf.is_vf) == (False, True)


def test_one_end_of_the_link_is_enough_to_tell_a_vf(tmp_path: Path) -> None:
    host = builders.host(tmp_path, {"0000:3b:00.0": CARD, "0000:3b:00.4": CARD | {"physfn": "0000:3b:00.0"}})
    (tmp_path / "tree/sys/bus/pci/devices/0000:3b:00.4/physfn").unlink()
    _, vf = host.pci()
    assert vf.is_vf


def test_a_vf_whose_pf_is_not_here_is_a_function_of_its_own(tmp_path: Path) -> None:
    assert not _only(builders.host(tmp_path, {"0000:00:05.0": CARD | {"physfn": "0000:3b:00.0"}})).is_vf


@pytest.mark.parametrize("pf", ["vanished", {"vendor": 0xFFFF, "device": 0xFFFF}, {"vendor": {"error": "EIO"}}])
def test_a_vf_whose_pf_does_not_answer_is_still_no_function_of_its_own(tmp_path: Path, pf: object) -> None:
    vf = _only(builders.host(tmp_path, {"0000:3b:00.0": pf, "0000:3b:00.4": CARD | {"physfn": "0000:3b:00.0"}}))
    assert (vf.is_vf, vf.physfn) == (True, None)


@pytest.mark.parametrize(
    ("files", "reasons"),
    [
        ({"aer_dev_correctable": {"raw": "Receiver Error 2\n\nTOTAL_ERR_COR   12 \n"}}, ("correctable_errors",)),
        ({"aer_dev_nonfatal": {"raw": "TOTAL_ERR_NONFATAL\t1\n"}}, ("nonfatal_errors",)),
        ({"aer_dev_fatal": {"raw": "\n"}}, ()),
        ({"aer_dev_fatal": "Undefined 3"}, ("unreadable",)),
        ({"current_link_width": 8, "max_link_width": 16}, ("link_width_below_max",)),
        ({"current_link_width": 8, "max_link_width": 255}, ()),
        ({"current_link_width": "Unknown", "max_link_width": 16}, ()),
        ({"current_link_width": {"error": "EIO"}, "max_link_width": 16}, ("unreadable",)),
        ({"power_state": "D3hot", "current_link_width": 8, "max_link_width": 16}, ()),
        ({"numa_node": " -1 "}, ()),
        ({"numa_node": {"raw": ""}}, ()),
        ({"numa_node": {"error": "EIO"}}, ("unreadable",)),
        ({"numa_node": "many"}, ("unreadable",)),
        ({"boot_vga": {"error": "EIO"}}, ("unreadable",)),
        ({"sriov_totalvfs": 4, "sriov_numvfs": {"error": "EIO"}}, ("unreadable",)),
    ],
)
def test_what_the_kernel_says_is_a_finding_or_none(
    tmp_path: Path, files: dict[str, object], reasons: tuple[str, ...]
) -> None:
    function = _only(builders.host(tmp_path, {"0000:3b:00.0": CARD | {"power_state": "D0"} | files}))
    assert pci_health.verdict(pci_health.findings(function))[1] == reasons


@pytest.mark.parametrize(
    ("neighbour", "isolated"),
    [
        ({}, True),
        ({"driver": "vfio-pci"}, True),
        ({"driver": "pci-stub"}, True),
        ({"driver": "snd_hda_intel"}, False),
        ({"driver": "pcieport", "class": 0x060400}, True),
        ({"driver": "snd_hda_intel", "iommu_group": 8}, True),
    ],
)
def test_a_group_is_isolated_unless_the_host_uses_another_of_its_members(
    tmp_path: Path, neighbour: dict[str, object], isolated: bool
) -> None:
    other = {"vendor": 0x10DE, "device": 0x1AEF, "class": 0x040300, "iommu_group": 7} | neighbour
    host = builders.host(tmp_path, {"0000:3b:00.0": CARD | {"driver": "nvidia"}, "0000:3b:00.1": other})
    assert host.pci()[0].isolated is isolated


def test_a_function_that_reads_as_all_ones_is_left_out_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    host = builders.host(tmp_path, {"0000:25:00.0": {"vendor": 0xFFFF, "device": 0xFFFF}})
    assert host.pci() == ()
    assert host.pci() == ()
    assert [record.levelname for record in caplog.records] == ["WARNING"]

    builders.host(tmp_path, {"0000:25:00.0": CARD})
    assert _only(host).address == "0000:25:00.0"
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
