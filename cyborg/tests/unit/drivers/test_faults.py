# SPDX-License-Identifier: Apache-2.0
"""Whatever is missing, unreadable or nonsense in sysfs: no driver fails, and only the faulty function is lost.

CYBORG_TEST_EXAMPLES=100 tries so many damaged hosts with each driver; by default it is a few, others in each run.
"""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cyborg.drivers import recorded
from cyborg.drivers.conformance.faults import touched_by
from cyborg.tests.unit.drivers import builders

TESTS = Path(__file__).resolve().parents[2]
DEMO = sorted((TESTS.parent / "demo_hosts").glob("*/host.yaml"))
RECORDINGS = DEMO + sorted((TESTS / "golden").glob("*/*/host.yaml"))
EXAMPLES = int(os.environ.get("CYBORG_TEST_EXAMPLES", "5"))
FAMILIES = [family for family in builders.families() if family != "fake"]
OPTIONS: dict[str, dict[str, object]] = {
    "nvidia_gpu": {"enabled_vgpu_types": ["nvidia-319"]},
    "nvme_ssd": {"vendors": ["144d", "8086"]},
    "pci": {"device_spec": ['{"vendor_id": "*"}']},
}


def _spoil(file: Path, fault: str) -> None:
    file.unlink()
    if fault == "EIO":
        file.symlink_to(recorded.FAILS_WITH_EIO)
    elif fault == "noise":
        file.write_bytes(b"\xff\xfe\x00 0x\n-")
    elif fault == "empty":
        file.touch()


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_symlink() or path.is_file())


def _faults(data: st.DataObject, files: list[Path]) -> None:
    faults = st.sampled_from(["missing", "EIO", "noise", "empty"])
    chosen = data.draw(st.dictionaries(st.sampled_from(files), faults, max_size=25)) if files else {}
    for file, fault in chosen.items():
        _spoil(file, fault)


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_fault_leaves_a_driver(family: str, data: st.DataObject) -> None:
    driver = builders.driver(family, OPTIONS.get(family))
    with tempfile.TemporaryDirectory() as directory:
        host = recorded.materialise(data.draw(st.sampled_from(RECORDINGS)), Path(directory))
        _faults(data, _files(Path(directory)))
        list(driver.discover(host))


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_only_the_card_with_the_faulty_function_is_lost(family: str, data: st.DataObject) -> None:
    driver = builders.driver(family, OPTIONS.get(family))
    own = [path for path in RECORDINGS if path.parts[-3] == family]
    with tempfile.TemporaryDirectory() as directory:
        host = recorded.materialise(data.draw(st.sampled_from(DEMO + own)), Path(directory))
        before = {device.address: device for device in driver.discover(host)}
        addresses = [function.address for function in host.pci()]
        assume(addresses)
        faulty = data.draw(st.sampled_from(addresses))
        concerned = touched_by(host, faulty)
        place = (Path(directory) / "sys/bus/pci/devices" / faulty).resolve()
        _faults(data, _files(place))
        after = {device.address: device for device in driver.discover(host)}

    assert {key: device for key, device in after.items() if key not in concerned} == {
        key: device for key, device in before.items() if key not in concerned
    }
