# SPDX-License-Identifier: Apache-2.0
"""Whether an accepted image may go into a region of a card, by what the card's driver last reported."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.drivers import images
from cyborg.drivers.base import TakesImages
from cyborg.tests.unit.drivers import builders as drivers
from cyborg.tests.unit.drivers.images.builders import FUNCTION, PLATFORM, REGION, gbs, metadata, plain, xclbin

OTHER = "ffffffff-0000-4000-8000-000000000001"
PORT = {"afu_id": plain(OTHER), "id": "0x0", "errors": {"errors": "0x0"}}
MANAGER = {"dfl-fme-region.1": {"fpga_region": {"region1": {"compat_id": plain(REGION)}}}}
INTEL: dict[str, Any] = {
    "0000:5e:00.0": {
        "vendor": 0x8086,
        "device": 0x0B30,
        "class": 0x120000,
        "driver": "dfl-pci",
        "fpga_region": {"region0": {"dfl-fme.0": MANAGER, "dfl-port.0": PORT}},
    }
}
ALVEO = {"vendor": 0x10EE, "class": 0x120000, "ready": "0x1"}
XILINX: dict[str, Any] = {
    "0000:3b:00.0": ALVEO | {"device": 0x5004, "driver": "xclmgmt", "rom.m.1": {"VBNV": PLATFORM}},
    "0000:3b:00.1": ALVEO | {"device": 0x5005, "driver": "xocl", "interface_uuids": plain(REGION)},
}
HOSTS = {"intel_fpga": INTEL, "xilinx_fpga": XILINX}
IMAGES: dict[str, Callable[..., bytes]] = {
    "intel_fpga": lambda region=REGION: gbs(metadata(**{"interface-uuid": region})),
    "xilinx_fpga": lambda region=REGION: xclbin(region=region),
}


def _card(tmp_path: Path, family: str, functions: dict[str, Any] | None = None) -> tuple[report.Device, Unit]:
    (device,) = drivers.driver(family).discover(drivers.host(tmp_path, functions or HOSTS[family]))
    part, unit = next((part, one) for _, part in device.walk() for one in part.accelerators)
    return device, Unit(
        uuid=OTHER,
        driver=f"{family}_driver",
        address=device.address,
        vendor=device.vendor,
        model=device.model,
        part=part.key,
        key=unit.key,
        info=unit.info,
    )


def _image(family: str, data: bytes) -> images.Image:
    found = images.judge(io.BytesIO(data), drivers.driver(family).image_formats)
    assert isinstance(found, images.Image)
    return found


def _reason(
    family: str, card: tuple[report.Device, Unit], data: bytes | None = None, function: str | None = None
) -> str | None:
    image = _image(family, data or IMAGES[family]())
    refusal = drivers.driver(family).check_image(*card, image, function)
    assert refusal is None or refusal.message.endswith(".")
    return refusal.reason if refusal else None


@pytest.mark.parametrize("family", HOSTS)
def test_an_image_for_the_region_with_the_wanted_function_fits(tmp_path: Path, family: str) -> None:
    card = _card(tmp_path, family)
    assert isinstance(drivers.driver(family), TakesImages)
    assert _reason(family, card) is None
    for spelling in (FUNCTION, FUNCTION.upper(), plain(FUNCTION)):
        assert _reason(family, card, function=spelling) is None


@pytest.mark.parametrize("family", HOSTS)
def test_an_image_for_another_region_or_with_another_function_does_not_fit(tmp_path: Path, family: str) -> None:
    card = _card(tmp_path, family)
    assert _reason(family, card, IMAGES[family](OTHER)) == "wrong_region"
    assert _reason(family, card, function=OTHER) == "wrong_function"


@pytest.mark.parametrize("family", HOSTS)
def test_a_card_that_is_held_failed_or_changed_takes_no_image(tmp_path: Path, family: str) -> None:
    device, unit = _card(tmp_path, family)
    address = report.Accelerator(key="", type=report.HandleType.PCI, info=unit.info).pci_address
    assert address is not None
    assert _reason(family, (device, dataclasses.replace(unit, held=frozenset({address})))) == "in_use"
    assert _reason(family, (device, dataclasses.replace(unit, held=frozenset({"0000:99:00.0"})))) is None
    failed = dataclasses.replace(device, health=report.Health.FAILED, health_reasons=("fatal_errors",))
    assert _reason(family, (failed, unit)) == "device_failed"
    assert _reason(family, (device, dataclasses.replace(unit, part="region7"))) == "no_such_region"


@pytest.mark.parametrize("family", HOSTS)
def test_a_card_that_does_not_say_its_region_takes_no_image(tmp_path: Path, family: str) -> None:
    functions = {
        address: {name: value for name, value in files.items() if name not in ("fpga_region", "interface_uuids")}
        for address, files in HOSTS[family].items()
    }
    assert _reason(family, _card(tmp_path, family, functions)) == "region_unknown"


def test_an_xclbin_without_a_region_is_for_a_platform_by_name(tmp_path: Path) -> None:
    card = _card(tmp_path, "xilinx_fpga")
    assert _reason("xilinx_fpga", card, xclbin(region=None, mode=0)) is None
    assert _reason("xilinx_fpga", card, xclbin(region=None, mode=0, platform=b"xilinx_u50")) == "wrong_platform"
    assert _reason("xilinx_fpga", card, xclbin(region=None, mode=0, platform=b"")) == "wrong_platform"


def test_a_card_without_its_management_function_takes_no_image(tmp_path: Path) -> None:
    functions = {address: files for address, files in XILINX.items() if address.endswith(".1")}
    assert _reason("xilinx_fpga", _card(tmp_path, "xilinx_fpga", functions)) == "not_programmable"
