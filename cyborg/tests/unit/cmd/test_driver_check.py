# SPDX-License-Identifier: Apache-2.0
"""cyborg-driver-check as somebody types it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cyborg.cmd import driver_check
from cyborg.domain import report, wire
from cyborg.drivers import check, recorded
from cyborg.tests.unit.drivers import builders, fakes
from cyborg.tests.unit.drivers.images import builders as images

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
FAMILIES = [family for family in builders.families() if family != "fake"]
NVML = '{"init": "ok", "devices": []}'


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cyborg.cmd.driver_check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def _status(arguments: list[str]) -> int:
    """In this process; argparse ends it for what it does not understand."""
    try:
        return driver_check.main(arguments)
    except SystemExit as exc:
        return int(exc.code or 0)


def _config(family: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options of a golden host by group, as an operator has them."""
    group = builders.group_of(family)
    further = {name: values for name, values in options.items() if isinstance(values, dict)}
    own = {name: value for name, value in options.items() if name not in further}
    return further | ({group: own} if group else {})


def _broken(family: str, tmp_path: Path) -> tuple[list[str], list[dict[str, Any]], dict[str, Any]]:
    """The arguments for a family's golden host, what it must find there, and what serves it."""
    recording = GOLDEN / family / "broken/host.yaml"
    more = yaml.safe_load(recording.read_text(encoding="utf-8"))
    recorded.materialise(recording, tmp_path / "root")
    config, nvml, tools = tmp_path / "config.json", tmp_path / "nvml.json", tmp_path / "bin"
    config.write_text(json.dumps(_config(family, more.get("options", {}))), encoding="utf-8")
    nvml.write_text(json.dumps(more.get("nvml", {"init": "none", "devices": []})), encoding="utf-8")
    _write_tools(tools, more.get("tools", {}))
    golden = yaml.safe_load((recording.parent / "report.yaml").read_text(encoding="utf-8"))["devices"]
    devices = [wire.from_wire(report.Device, device) for device in golden]
    arguments = ["discover", family, "--root", str(tmp_path / "root"), "--config", str(config), "--path", str(tools)]
    arguments += ["--nvml", str(nvml)] if "nvml" in more else []
    return arguments, check.to_fixture_form(family, devices), more.get("rpc", {})


def _write_tools(directory: Path, outputs: dict[str, str]) -> None:
    directory.mkdir()
    for name in {command.split()[0] for command in outputs}:
        file = directory / name
        answer = f"text = {outputs!r}.get(' '.join([{name!r}, *sys.argv[1:]]))"
        file.write_text(
            f"#!{sys.executable}\nimport sys\n{answer}\nprint(text or '')\nsys.exit(text is None)\n", encoding="utf-8"
        )
        file.chmod(0o755)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_prints_what_the_driver_finds_on_its_broken_golden_host(family: str, tmp_path: Path) -> None:
    arguments, expected, rpc = _broken(family, tmp_path)
    with fakes.spdk_targets(tmp_path, rpc, named=True):
        done = _run(*arguments, *(["--socket", str(tmp_path)] if rpc else []))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for device in found:
        device.pop("sensors", None)
    assert found == expected


def test_a_host_that_cannot_be_read_is_status_1(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "gone"):
        done = _run("discover", "intel_qat_driver", "--root", str(root))
        assert (done.returncode, done.stdout) == (1, "")
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("cyborg-driver-check: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["discover", "lamp"], "There is no driver named 'lamp_driver'"),
        (["discover", "pci", "--config", "gone.json"], "gone.json cannot be read: No such file or directory."),
        (["discover", "pci", "--config", "."], "cannot be read: Is a directory."),
        (["discover", "pci", "--config", "list.json"], "list.json holds no JSON object"),
        (["discover", "pci", "--config", "noise.json"], "noise.json is no JSON: "),
        (["discover", "pci", "--config", "flat.json"], 'flat.json: pci is "all". Options are given by group and name'),
        (["discover", "nvme_ssd", "--config", "bad.json"], r"[nvme_ssd] vendors cannot be ['Samsung']"),
        (["discover", "nvidia_gpu", "--nvml", "list.json"], "list.json holds no JSON object"),
        (["discover"], "FAMILY"),
        (["image", "intel_fpga"], "FILE"),
        (["image", "lamp", "list.json"], "There is no driver named 'lamp_driver'"),
        (["image", "intel_fpga", "gone.json"], "gone.json is no file, or there is none of that name."),
        (["image", "inspur_fpga", "."], "is no file"),
        (["conformance", "fake"], "--host"),
        (["conformance", "lamp", "--host", "list.json"], "There is no driver named 'lamp_driver'"),
        ([], "COMMAND"),
        (["devices"], "invalid choice: 'devices'"),
    ],
)
def test_what_is_wrong_with_the_question_is_status_2(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    (tmp_path / "noise.json").write_bytes(b"\xff{")
    (tmp_path / "flat.json").write_text('{"pci": "all"}', encoding="utf-8")
    (tmp_path / "bad.json").write_text('{"nvme_ssd": {"vendors": ["Samsung"]}}', encoding="utf-8")
    named = [str(tmp_path / word) if word.endswith((".json", ".")) else word for word in arguments]
    assert _status(named) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err


def test_a_recorded_host_that_is_no_yaml_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "host.yaml").write_text("{bad", encoding="utf-8")
    assert _status(["conformance", "fake", "--host", str(tmp_path / "host.yaml")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("family", "data", "reason"),
    [
        ("intel_fpga", images.gbs(), None),
        ("intel_fpga_driver", images.enveloped(images.gbs()), None),
        ("xilinx_fpga", images.xclbin(), None),
        ("xilinx_fpga", images.gbs(), "bad_magic"),
        ("intel_fpga", b"", "too_short"),
        ("inspur_fpga", images.gbs(), "not_supported"),
        ("nvidia_gpu", images.gbs(), "not_supported"),
    ],
)
def test_the_verdict_on_an_image_is_printed(
    tmp_path: Path, family: str, data: bytes, reason: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "image").write_bytes(data)
    accepted = reason is None
    assert _status(["image", family, str(tmp_path / "image")]) == (0 if accepted else 1)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["accept"], printed.get("reason")) == (accepted, reason)
    assert ("found" in printed, "message" in printed) == (accepted, not accepted)


def test_a_reader_that_has_enough_ends_it_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"fake_devices": {"devices": 200}}', encoding="utf-8")
    command = f"{sys.executable} -m cyborg.cmd.driver_check discover fake --config {tmp_path}/config.json | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[\n", "")


def test_an_option_that_the_driver_does_not_have_is_told_and_left_out(tmp_path: Path) -> None:
    builders.host(tmp_path, {})
    (tmp_path / "config.json").write_text('{"pci": {"whitelist": 1}, "other": {}}', encoding="utf-8")
    done = _run("discover", "pci", "--root", str(tmp_path / "tree"), "--config", str(tmp_path / "config.json"))
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "[pci] has no option whitelist" in done.stderr
