# SPDX-License-Identifier: Apache-2.0
"""From enabled names to drivers with their options."""

import sys
from pathlib import Path

import pytest
from oslo_config import cfg
from stevedore import ExtensionManager

from cyborg.domain import errors
from cyborg.domain.host_work import Unit
from cyborg.drivers import base, loader
from cyborg.drivers.host import Host
from cyborg.tests.unit.drivers import builders

OURS = [f"{family}_driver" for family in builders.families()]


def _conf(tmp_path: Path, text: str = "") -> cfg.ConfigOpts:
    file = tmp_path / "cyborg.conf"
    file.write_text(text, encoding="utf-8")
    conf = cfg.ConfigOpts()
    conf([], project="cyborg", default_config_files=[str(file)])
    return conf


def _install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: str, module: str = "") -> None:
    """A distribution with these entry points, on the path for this test."""
    info = tmp_path / "site/thirdparty-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{loader.ENTRY_POINTS}]\n{points}\n", encoding="utf-8")
    (tmp_path / "site/thirdparty_driver.py").write_text(module, encoding="utf-8")
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
    monkeypatch.delitem(sys.modules, "thirdparty_driver", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


def test_drivers_come_in_the_order_of_their_names_and_once(tmp_path: Path) -> None:
    loaded = loader.load(_conf(tmp_path), ["pci_driver", "fake_driver", "pci_driver"])
    assert [item.name for item in loaded] == ["pci_driver", "fake_driver"]


def test_our_drivers_are_known() -> None:
    assert set(OURS) <= set(loader.known())


def test_a_driver_gets_its_own_options(tmp_path: Path) -> None:
    (loaded,) = loader.load(_conf(tmp_path, "[fake_devices]\naccelerators = 3\n"), ["fake_driver"])
    (device,) = loaded.driver.discover(Host())
    assert len(device.deployables[0].accelerators) == 3


@pytest.mark.parametrize(
    ("name", "text", "able"),
    [
        ("fake_driver", "", set()),
        ("fake_driver", "[fake_devices]\nhost_work = clean\n", {"cleans"}),
        ("fake_driver", "[fake_devices]\nhost_work = prepare\n", {"prepares", "cleans"}),
        ("intel_gpu_driver", "", {"prepares", "cleans"}),
    ],
)
def test_what_a_driver_can_do_is_seen_from_what_it_has(tmp_path: Path, name: str, text: str, able: set[str]) -> None:
    (loaded,) = loader.load(_conf(tmp_path, text), [name])
    assert loaded.capabilities == able


def test_fake_host_work_fails_where_it_is_told_to(tmp_path: Path) -> None:
    text = "[fake_devices]\nhost_work = prepare\nhost_work_fails = release, prepare:vf1\naccelerators = 2\n"
    (loaded,) = loader.load(_conf(tmp_path, text), ["fake_driver"])
    (device,) = loaded.driver.discover(Host())
    units = [
        Unit(uuid="u", driver="fake_driver", address=device.address, vendor="1", model="2", key=one.key, info=one.info)
        for one in device.deployables[0].accelerators
    ]
    driver = loaded.driver
    assert isinstance(driver, base.Prepares)
    assert isinstance(driver, base.Cleans)
    assert driver.prepare(Host(), units[0], {}) == {"domain": "0000", "bus": "0c", "device": "00", "function": "1"}
    driver.clean(Host(), units[1])
    with pytest.raises(errors.DriverError, match="prepare vf1"):
        driver.prepare(Host(), units[1], {})
    with pytest.raises(errors.DriverError, match="release vf0"):
        driver.release(Host(), units[0])


def test_the_older_name_of_device_spec_still_works(tmp_path: Path) -> None:
    host = builders.host(tmp_path, {"0000:20:00.0": {"vendor": 0x1D0F, "device": 0xF010, "class": 0x120000}})
    conf = _conf(tmp_path, '[pci]\npassthrough_whitelist = {"vendor_id": "1d0f"}\n')
    (loaded,) = loader.load(conf, ["pci_driver"])
    assert [device.address for device in loaded.driver.discover(host)] == ["0000:20:00.0"]


@pytest.mark.parametrize("given", [{"vendor_id": "1d0f"}, '{"vendor_id": "1d0f"}', [{"vendor_id": "1d0f"}]])
def test_one_value_stands_for_a_list_of_one(tmp_path: Path, given: object) -> None:
    host = builders.host(tmp_path, {"0000:20:00.0": {"vendor": 0x1D0F, "device": 0xF010, "class": 0x120000}})
    driver = loader.make("pci_driver", {"pci": {"device_spec": given}})
    assert [device.address for device in driver.discover(host)] == ["0000:20:00.0"]


def test_groups_that_the_operator_names_arrive_too(tmp_path: Path) -> None:
    text = (
        "[gpu_devices]\nenabled_vgpu_types = nvidia-1, nvidia-2\n"
        "[vgpu_nvidia-1]\ndevice_addresses = 0000:4c:00.0\n[vgpu_nvidia-2]\ndevice_addresses = 0000:3B:00.0\n"
    )
    card = {"vendor": 0x10DE, "device": 0x1EB8, "class": 0x030200, "driver": "nvidia"}
    host = builders.host(tmp_path, {"0000:3b:00.0": {**card, "mdev_supported_types": {"nvidia-9": {"name": "x"}}}})
    (loaded,) = loader.load(_conf(tmp_path, text), ["nvidia_gpu_driver"])
    (device,) = loaded.driver.discover(host)
    assert device.facts["withheld"] == {"0000:3b:00.0": "lacks_nvidia-2"}


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(errors.DriverError, match=r"'lamp_driver'. Known are: .*fake_driver.*pci_driver"):
        loader.load(_conf(tmp_path), ["fake_driver", "lamp_driver"])


def test_a_driver_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, monkeypatch, "lamp_driver = thirdparty_driver:Lamp", "import does_not_exist_anywhere")
    with pytest.raises(errors.DriverError, match=r"lamp_driver cannot be imported: ModuleNotFoundError"):
        loader.load(_conf(tmp_path), ["lamp_driver"])


def test_a_broken_driver_that_is_not_enabled_disturbs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, monkeypatch, "lamp_driver = thirdparty_driver:Lamp", "import does_not_exist_anywhere")
    assert [item.name for item in loader.load(_conf(tmp_path), ["fake_driver"])] == ["fake_driver"]


def test_a_driver_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "class Lamp:\n    option_group = None\n    def __init__(self, options):\n        raise KeyError('x')\n"
    _install(tmp_path, monkeypatch, "lamp_driver = thirdparty_driver:Lamp", module)
    with pytest.raises(errors.DriverError, match=r"lamp_driver cannot start: KeyError: 'x'"):
        loader.load(_conf(tmp_path), ["lamp_driver"])


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("[fake_devices]\ndevices = many\n", "fake_driver", r"fake_driver cannot start: .*Check \[fake_devices\]"),
        ("[pci]\ndevice_spec = {vendor}\n", "pci_driver", r"pci_driver cannot start: \[pci\] device_spec is not JSON"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(errors.DriverError, match=message):
        loader.load(_conf(tmp_path, text), [name])


def test_the_sample_has_the_options_of_every_driver() -> None:
    groups = {group: {option.name for option in options} for group, options in loader.list_opts()}
    assert {"device_spec", "alias"} <= groups["pci"]
    assert {"enabled_vgpu_types", "filter_sriov_vfs"} <= groups["gpu_devices"]
    assert "accelerators" in groups["fake_devices"]
    assert "device_ids" in groups["intel_fpga"]
