# SPDX-License-Identifier: Apache-2.0
"""FPGAs between two guests: what was loaded is gone and seen to be gone, or the card is not said to be clean."""

import dataclasses
import errno
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import errors
from cyborg.drivers import images
from cyborg.drivers.conformance import cleaning, run, working
from cyborg.drivers.conformance.subject import Case, Subject
from cyborg.drivers.intel_fpga import IntelFpgaDriver
from cyborg.tests.unit.drivers.rig import PF, Rig

REGION = "0123456789ab4cde8f0123456789abcd"
BLANK = "b1a2c3d4e5f647a8b9c0d1e2f3a4b5c6"
GUESTS = "d8424dc4a4a3c413f89e433683f9040b"
VF = "0000:3b:00.1"


def gbs(file: Path, function: str = BLANK, region: str = REGION, bitstream: str | None = None) -> Path:
    """An image whose bitstream is the id of its function, as the twin's cards take it."""
    cluster = {"name": "none", "total-contexts": 1, "accelerator-type-uuid": function}
    about = {"version": 1, "afu-image": {"interface-uuid": region, "power": 0, "accelerator-clusters": [cluster]}}
    text = json.dumps(about).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"XeonFPGA\xb7GBSv001" + struct.pack("<I", len(text)) + text + (bitstream or function).encode())
    return file


def board(port: str = "dfl-port.0", *, engine: bool = True) -> dict[str, Any]:
    regions = {"dfl-fme-region.0": {"fpga_region": {"region1": {"compat_id": REGION}}}}
    ports = {port: {"id": "0x0", "afu_id": GUESTS}} if port else {}
    return {"region0": ({"dfl-fme.0": regions} if engine else {}) | ports}


CARD: dict[str, Any] = {
    "vendor": 0x8086,
    "device": 0x0B30,
    "class": 0x120000,
    "driver": "dfl-pci",
    "iommu_group": 1,
    "reset_method": "flr",
    "fpga_region": board(),
}
PORT = {**CARD, "device": 0x0B31, "iommu_group": 2, "fpga_region": board(engine=False), "physfn": PF}


def intel(directory: Path, pci: dict[str, Any] | None = None, blank: Path | None = None, **options: Any) -> Rig:
    blanks = {"blank_images": {REGION: str(blank or gbs(directory / "blank.gbs"))}}
    shown = {PF: {"dfl-pci": {"fpga_region": board()}}, VF: {"dfl-pci": {"fpga_region": board(engine=False)}}}
    return Rig(directory / "host", "intel_fpga", pci or {PF: CARD}, {"shown_by": shown}, **{**blanks, **options})


def shown(rig: Rig) -> set[str]:
    return {file.read_text().strip() for file in rig.twin.sysfs.rglob("afu_id")}


@pytest.mark.parametrize("driver", ["dfl-pci", "vfio-pci"])
def test_a_blank_image_is_programmed_and_the_card_goes_back_to_who_had_it(tmp_path: Path, driver: str) -> None:
    card = CARD if driver == "dfl-pci" else {**CARD, "driver": driver, "fpga_region": {}}
    rig = intel(tmp_path, {PF: card})
    unit = rig.unit("region0 pf")
    rig.twin.soil(PF)
    rig.clean(unit)
    assert not rig.twin.dirty
    assert rig.twin.host.pci()[0].driver == driver
    rig.twin.bind(PF, "dfl-pci")
    assert shown(rig) == {BLANK}


def test_the_port_of_a_vf_is_programmed_through_the_card(tmp_path: Path) -> None:
    pci = {
        PF: {**CARD, "fpga_region": board(""), "sriov_totalvfs": 1},
        VF: {**PORT, "driver": "vfio-pci", "fpga_region": {}},
    }
    rig = intel(tmp_path, pci)
    unit = rig.unit("region0 vf0")
    rig.twin.soil(VF)
    rig.clean(unit)
    assert not rig.twin.dirty
    assert [one.driver for one in rig.twin.host.pci()] == ["dfl-pci", "vfio-pci"]


def test_a_function_of_the_last_guest_that_claims_to_be_blank_is_programmed_over(tmp_path: Path) -> None:
    rig = intel(tmp_path)
    for file in rig.twin.sysfs.rglob("afu_id"):
        file.write_text(f"{BLANK}\n")
    rig.twin.soil(PF)
    rig.clean(rig.unit("region0 pf"))
    assert not rig.twin.dirty


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ({"region": BLANK}, "is for region"),
        ({"bitstream": GUESTS}, f"shows function {GUESTS} after {BLANK} was programmed"),
        ({"bitstream": "noise"}, "EIO"),
    ],
)
def test_an_image_that_does_not_do_is_no_cleaning(tmp_path: Path, image: dict[str, str], words: str) -> None:
    rig = intel(tmp_path, blank=gbs(tmp_path / "other.gbs", **image))
    with pytest.raises(errors.DriverError, match=words):
        rig.clean(rig.unit("region0 pf"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"blank_images": {}}, "blank_images is empty"),
        ({"blank_images": {BLANK: "/x"}}, f"has none for region {REGION}"),
        ({"blank_images": {REGION: "/no/such.gbs"}}, "cannot be read"),
        ({"blank_images": {REGION: __file__}}, "is refused"),
    ],
)
def test_without_a_blank_image_the_card_is_not_clean(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    rig = intel(tmp_path, **options)
    with pytest.raises(errors.DriverError, match=words):
        rig.clean(rig.unit("region0 pf"))
    assert rig.twin.writes == []


def test_the_older_kernel_driver_does_not_program(tmp_path: Path) -> None:
    unit = intel(tmp_path).unit("region0 pf")
    rig = intel(tmp_path, {PF: {**CARD, "driver": "intel-fpga-pci", "fpga_region": {}}})
    with pytest.raises(errors.DriverError, match="intel-fpga-pci"):
        rig.clean(unit)


def test_an_operator_may_accept_what_a_reset_leaves(tmp_path: Path) -> None:
    rig = intel(tmp_path, cleaning="reset", blank_images={})
    rig.twin.soil(PF)
    rig.clean(rig.unit("region0 pf"))
    assert f"devices/{PF}/reset" in rig.done()
    assert shown(rig) == {GUESTS}


def test_a_card_whose_vf_is_held_is_not_programmed(tmp_path: Path) -> None:
    rig = intel(tmp_path, {PF: {**CARD, "sriov_totalvfs": 1}, VF: PORT})
    unit = intel(tmp_path / "whole").unit("region0 pf", held=frozenset({VF}))
    with pytest.raises(errors.InUse, match=VF):
        rig.clean(unit)
    assert rig.twin.writes == []


def test_an_image_is_programmed_once_and_is_what_the_card_shows(tmp_path: Path) -> None:
    rig = intel(tmp_path)
    file, unit = gbs(tmp_path / "new.gbs", "a" * 32), rig.unit("region0 pf")
    image = images.inspect(file, {images.Format.GBS})
    assert isinstance(image, images.Image)
    for _ in range(2):
        assert rig.driver.program(rig.twin.host, unit, image, file) == "a" * 32
    assert len(rig.twin.writes) == 1
    assert shown(rig) == {"a" * 32}


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EIO])
def test_a_card_that_refuses_an_image_says_so(tmp_path: Path, code: int) -> None:
    rig = intel(tmp_path)
    rig.twin.refuse_file(f"command/dfl_program/{PF}", code)
    with pytest.raises(errors.CyborgError, match=errno.errorcode[code]):
        rig.clean(rig.unit("region0 pf"))


def test_cards_with_a_blank_image_pass_the_kit(tmp_path: Path) -> None:
    lent = {**CARD, "driver": "vfio-pci", "fpga_region": {}, "iommu_group": 5}
    data = {
        "pci": {PF: CARD, "0000:5e:00.0": lent},
        "shown_by": {"0000:5e:00.0": {"dfl-pci": {"fpga_region": board("dfl-port.7")}}},
        "options": {"blank_images": {REGION: str(gbs(tmp_path / "blank.gbs"))}},
    }
    subject = Subject(name="fpga", cls=IntelFpgaDriver, cases=[Case(name="a", data=data)], directory=tmp_path / "kit")
    about = [check for check in run.CHECKS if check.__module__ in (cleaning.__name__, working.__name__)]
    assert [result for result in run.run(subject, about) if result.problems] == []


USER = "0000:3b:00.1"
LOADED = "5f1e7b0c-0000-4000-8000-000000000001"
ALVEO: dict[str, Any] = {"vendor": 0x10EE, "class": 0x120000, "reset_method": "flr", "power_state": "D0"}
MANAGEMENT = {**ALVEO, "device": 0x5004, "driver": "xclmgmt", "iommu_group": 1, "ready": 1, "mgmt_reset": {"raw": ""}}
XOCL: dict[str, Any] = {"ready": "0x1", "dev_offline": 0, "xclbinuuid": LOADED}


def alveo(directory: Path, user: dict[str, Any] | None = None, **options: Any) -> Rig:
    function = {**ALVEO, "device": 0x5005, "driver": "xocl", "iommu_group": 2, **XOCL, **(user or {})}
    pci = {PF: MANAGEMENT, USER: function}
    return Rig(directory, "xilinx_fpga", pci, {"shown_by": {USER: {"xocl": XOCL}}}, **options)


@pytest.mark.parametrize("user", [{}, {"driver": "vfio-pci", "ready": {"raw": ""}, "xclbinuuid": {"raw": ""}}])
def test_a_reset_of_the_board_drops_the_image(tmp_path: Path, user: dict[str, Any]) -> None:
    rig = alveo(tmp_path, user)
    rig.twin.soil(USER)
    rig.clean(rig.unit("pf", USER))
    assert rig.done()[0] == f"devices/{PF}/mgmt_reset"
    assert not rig.twin.dirty
    assert rig.twin.host.pci()[1].driver == user.get("driver", "xocl")


def test_an_image_that_is_still_there_is_seen(tmp_path: Path) -> None:
    rig = alveo(tmp_path)
    rig.twin.lying_boards.add(PF)
    with pytest.raises(errors.DriverError, match=f"shows {LOADED} .* is not known to be blank"):
        rig.clean(rig.unit("pf", USER))


def test_a_board_that_does_not_say_what_is_loaded_is_not_clean(tmp_path: Path) -> None:
    rig = alveo(tmp_path)
    unit = rig.unit("pf", USER)
    rig.twin.sysfs.joinpath("bus/pci/devices", USER, "xclbinuuid").unlink()
    with pytest.raises(errors.DriverError, match="shows nothing"):
        rig.clean(unit)


@pytest.mark.parametrize(
    ("gone", "changes", "error", "words"),
    [
        (True, {}, errors.DriverError, "No management function"),
        (False, {"held": frozenset({PF})}, errors.InUse, "is held"),
        (False, {"part": "management", "key": "management"}, errors.DriverError, "may have written the flash"),
        (False, {"key": "vf0"}, errors.DriverError, "share one image"),
    ],
)
def test_a_board_that_cannot_be_emptied_is_not_touched(
    tmp_path: Path, gone: bool, changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    rig = alveo(tmp_path)
    unit = dataclasses.replace(rig.unit("pf", USER), **changes)
    if gone:
        rig.twin.sysfs.joinpath("bus/pci/devices", PF, "mgmt_reset").unlink()
    with pytest.raises(error, match=words):
        rig.clean(unit)
    assert rig.twin.writes == []


def test_what_a_reset_of_an_alveo_function_leaves_may_be_accepted(tmp_path: Path) -> None:
    rig = alveo(tmp_path, cleaning="reset")
    rig.clean(rig.unit("pf", USER))
    assert f"devices/{USER}/reset" in rig.done()
    assert f"devices/{PF}/mgmt_reset" not in rig.done()


INSPUR = {"vendor": 0x1BD4, "device": 0x0911, "class": 0x120000, "reset_method": "flr"}


def test_an_inspur_card_is_out_until_its_power_was_cut(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "inspur_fpga", {PF: INSPUR})
    with pytest.raises(errors.DriverError, match=r"\[inspur_fpga\] cleaning = reset"):
        rig.clean(rig.unit("pf"))
    assert rig.twin.writes == []


def test_unless_the_operator_accepts_that_its_design_stays(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "inspur_fpga", {PF: INSPUR}, cleaning="reset")
    rig.clean(rig.unit("pf"))
    assert rig.done() == [f"devices/{PF}/reset"]
