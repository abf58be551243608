# SPDX-License-Identifier: Apache-2.0
"""NVMe disks between two guests: erased by what the disk can, looked at afterwards, and never under the host."""

import errno
from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import errors
from cyborg.drivers import actions, commands, nvme_pages
from cyborg.drivers.twin import Died
from cyborg.drivers.twin_disk import Disk
from cyborg.tests.unit.drivers.rig import PF, Rig

VF = "0000:3b:00.1"
CONTROLLER = {"nvme0": {"state": "live", "transport": "pcie", "nvme0n1": {"size": 8, "dev": "259:0"}}}
DISK: dict[str, Any] = {
    "vendor": 0x144D,
    "device": 0xA824,
    "class": 0x010802,
    "driver": "nvme",
    "iommu_group": 1,
    "reset_method": "flr",
    "nvme": CONTROLLER,
}


def rig(directory: Path, disk: dict[str, Any] | None = None, **changes: Any) -> Rig:
    options = {"vendors": ["144d"], "erase_timeout": 0.3}
    shown = {PF: {"nvme": {"nvme": CONTROLLER}}}
    made = Rig(
        directory, "nvme_ssd", {PF: {**DISK, **changes}}, {"disks": {PF: disk or {}}, "shown_by": shown}, **options
    )
    made.twin.soil(PF)
    return made


def shared(directory: Path, disk: dict[str, Any], **changes: Any) -> Rig:
    """A disk whose VF is the unit; the disk itself stays with the host, whose drivers are kept off VFs."""
    own = {"nvme": {"nvme1": {"state": "live", "nvme1n1": {"size": 8, "dev": "259:1"}}}}
    pci = {
        PF: {**DISK, "sriov_totalvfs": 4, "sriov_drivers_autoprobe": 0},
        VF: {**DISK, **own, "physfn": PF, "iommu_group": 2, **changes},
    }
    more = {"disks": {PF: {}, VF: disk}, "shown_by": {VF: {"nvme": own}}}
    made = Rig(directory, "nvme_ssd", pci, more, vendors=["144d"], erase_timeout=0.3)
    made.twin.soil(VF)
    return made


def orders(made: Rig) -> list[tuple[str, str]]:
    return [(path.split("/")[1], text) for path, text in made.twin.writes if path.startswith("command/")]


@pytest.mark.parametrize(
    ("disk", "ordered"),
    [
        ({}, [(commands.NVME_SANITIZE, "2")]),
        ({"sanitize": ["crypto"]}, [(commands.NVME_SANITIZE, "4")]),
        ({"sanitize": ["crypto"], "dlfeat": 0}, [(commands.NVME_SANITIZE, "4")]),
        ({"sanitize": [], "namespaces": 2}, [(commands.NVME_FORMAT, "1"), (commands.NVME_FORMAT, "2")]),
        ({"sanitize": [], "formats_all": True}, [(commands.NVME_FORMAT, "1")]),
        ({"sanitizing": True}, []),
    ],
)
def test_a_disk_is_erased_by_the_best_that_it_can(
    tmp_path: Path, disk: dict[str, Any], ordered: list[tuple[str, str]]
) -> None:
    made = rig(tmp_path, disk)
    before = made.twin.state()
    made.clean(made.unit("pf"))
    assert not made.twin.dirty
    assert orders(made) == ordered
    assert made.twin.state() == before


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        ({"sanitize": [], "format": False}, "knows neither a sanitize"),
        ({"sanitize": [], "hidden": 1}, r"not attached to it \(\[100\]\)"),
        ({"fault": "refuses"}, "status 0x2001"),
        ({"fault": "fails"}, "did not finish its sanitize: status 3"),
        ({"fault": "stuck"}, "not at the end of its sanitize after 0.3 seconds"),
        ({"fault": "lies"}, "4 blocks of a sample still have data"),
        ({"fault": "lies", "dlfeat": 0}, "4 blocks of a sample still have data"),
        ({"sanitize": ["crypto"], "fault": "lies"}, "4 blocks of a sample still have data"),
        ({"sanitize": [], "fault": "refuses"}, "status 0x2001"),
        ({"sanitize": [], "fault": "fails"}, "status 0x6"),
        ({"sanitize": [], "fault": "stuck"}, "not at the end of its format of namespace 1"),
        ({"sanitize": [], "fault": "lies"}, "4 blocks of a sample still have data"),
    ],
)
def test_a_disk_that_is_not_known_to_be_empty_is_not_said_to_be(
    tmp_path: Path, disk: dict[str, Any], words: str
) -> None:
    made = rig(tmp_path, disk)
    with pytest.raises(errors.DriverError, match=words):
        made.clean(made.unit("pf"))
    assert made.twin.dirty == {PF} or disk.get("fault") == "stuck"


def test_a_sanitize_that_was_given_up_on_is_waited_for_and_not_begun_again(tmp_path: Path) -> None:
    made = rig(tmp_path, {"fault": "stuck"})
    with pytest.raises(errors.DriverError, match="not at the end"):
        made.clean(made.unit("pf"))
    made.twin.disks[PF].fault = ""
    made.clean(made.unit("pf"))
    assert orders(made) == [(commands.NVME_SANITIZE, "2")]
    assert not made.twin.dirty


def test_a_disk_that_a_hypervisor_kept_is_lent_to_the_host_and_given_back(tmp_path: Path) -> None:
    made = rig(tmp_path, driver="vfio-pci", nvme={})
    before = made.units()
    made.clean(made.unit("pf"))
    assert not made.twin.dirty
    assert made.units() == before
    assert made.twin.host.pci()[0].driver == "vfio-pci"
    assert made.done()[:3] == [f"devices/{PF}/driver_override", f"devices/{PF}/driver/unbind", "drivers_probe"]


@pytest.mark.parametrize("after", [False, True])
def test_wherever_the_agent_dies_the_disk_comes_back_clean_to_who_had_it(tmp_path: Path, after: bool) -> None:
    number = 1
    while True:
        made = rig(tmp_path / str(number), driver="vfio-pci", nvme={})
        unit = made.unit("pf")
        made.twin.die_at(number, after=after)
        try:
            made.clean(unit)
        except Died:
            made.twin.live()
            made.clean(unit)
            assert not made.twin.dirty
            assert made.twin.host.pci()[0].driver == "vfio-pci"
            number += 1
        else:
            assert number == 8
            return


def test_a_disk_without_a_driver_stays_with_the_hosts(tmp_path: Path) -> None:
    made = rig(tmp_path, driver=None, nvme={})
    made.clean(made.unit("pf"))
    assert not made.twin.dirty
    assert made.twin.host.pci()[0].driver == "nvme"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"driver": "spdk-nvme"}, "is bound to spdk-nvme"),
        ({"driver": None, "class": 0x020000}, "nvme does not take 0000:3b:00.0"),
        ({"nvme": {"nvme0": {"state": "dead"}}}, "has no controller that is live"),
        ({"nvme": {}}, "has no controller that is live"),
    ],
)
def test_a_disk_whose_controller_cannot_be_had_is_not_clean(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    unit = rig(tmp_path / "unit").unit("pf")
    made = rig(tmp_path / "disk", **changes)
    with pytest.raises(errors.DriverError, match=words):
        made.clean(unit)
    assert orders(made) == []


def test_a_disk_that_the_host_took_into_use_is_left_alone(tmp_path: Path) -> None:
    made = rig(tmp_path)
    unit = made.unit("pf")
    mounts = tmp_path / "proc/self/mountinfo"
    mounts.parent.mkdir(parents=True)
    link = made.twin.sysfs / "class/block/nvme0n1"
    link.parent.mkdir(parents=True)
    link.symlink_to(f"../../devices/pci0000:3b/{PF}/nvme/nvme0/nvme0n1")
    mounts.write_text("22 1 259:0 / /srv rw - xfs /dev/nvme0n1 rw\n")
    with pytest.raises(errors.InUse, match="disk_in_use"):
        made.clean(unit)
    assert made.twin.writes == []
    assert made.twin.dirty == {PF}


def test_the_kernels_word_that_a_disk_is_in_use_counts_at_the_last_moment(tmp_path: Path) -> None:
    made = rig(tmp_path)
    made.twin.refuse_file(f"command/{commands.NVME_SANITIZE}/{PF}", errno.EBUSY)
    with pytest.raises(errors.InUse, match="used by the host"):
        made.clean(made.unit("pf"))


def test_a_vf_is_erased_by_a_format_of_what_is_its_own(tmp_path: Path) -> None:
    made = shared(tmp_path, {})
    made.clean(made.unit("vf0"))
    assert orders(made) == [(commands.NVME_FORMAT, "1")]
    assert not made.twin.dirty


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        ({"shared": True}, "shares namespace 1"),
        ({"formats_all": True}, "with all namespaces of its disk"),
        ({"namespaces": 0}, "no namespace attached"),
        ({"format": False}, "knows neither"),
    ],
)
def test_a_vf_is_not_erased_where_that_would_reach_others(tmp_path: Path, disk: dict[str, Any], words: str) -> None:
    made = shared(tmp_path, disk)
    with pytest.raises(errors.DriverError, match=words):
        made.clean(made.unit("vf0"))
    assert made.twin.writes == []


def test_a_vf_that_host_drivers_are_kept_off_has_none_again(tmp_path: Path) -> None:
    made = shared(tmp_path, {}, driver=None, nvme={})
    before = made.twin.state()
    made.clean(made.unit("vf0"))
    assert not made.twin.dirty
    assert made.twin.state() == before


def test_a_vf_that_is_gone_leaves_its_namespaces_behind(tmp_path: Path) -> None:
    made = shared(tmp_path, {})
    unit = made.unit("vf0")
    made.twin.host.act(actions.VF_COUNT, PF, "0")
    made.twin.writes.clear()
    with pytest.raises(errors.DriverError, match="is not there"):
        made.clean(unit)
    assert made.twin.writes == []


def test_pages_say_what_the_specification_says_they_say() -> None:
    page = bytearray(4096)
    page[256] = 0b1010
    page[524] = 0b100
    page[328] = 0b101
    about = nvme_pages.controller(bytes(page))
    assert about == nvme_pages.Controller(
        sanitize=(nvme_pages.Sanitize.CRYPTO_ERASE,), formats=True, formats_all=False, manages_namespaces=True
    )
    log = (4660).to_bytes(2, "little") + (0x0101).to_bytes(2, "little") + bytes(508)
    assert nvme_pages.sanitize_log(log) == nvme_pages.SanitizeLog(status=nvme_pages.Status.DONE, progress=4660)
    assert nvme_pages.namespaces((3).to_bytes(4, "little") + (7).to_bytes(4, "little") + bytes(8)) == (3, 7)


def test_a_block_that_was_never_written_is_no_data_and_one_that_is_as_before_is() -> None:
    disk = Disk({})
    disk.soil()
    before = disk.sample(0)
    assert nvme_pages.left_over(before, before, known=False) == 4
    assert nvme_pages.left_over(b"", before, known=False) == 0
    assert nvme_pages.left_over(b"", before, known=True) == 4
    assert nvme_pages.left_over(before, b"\xff" * 128, known=True) == 0
