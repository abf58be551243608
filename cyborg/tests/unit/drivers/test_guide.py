# SPDX-License-Identifier: Apache-2.0
"""The guide to a new driver: whoever types what stands there has a driver that passes."""

import re
from pathlib import Path

import pytest

from cyborg.cmd import driver_check

GUIDE = Path(__file__).resolve().parents[4] / "doc/source/contributor/new-driver.rst"
BLOCK = re.compile(r"\.\. code-block:: \w+\n   :caption: (\S+)(?: \(goes on\))?\n\n((?:   .*\n|\n)+)")


def files() -> dict[str, str]:
    """By name, each with what goes on further down the page."""
    found: dict[str, str] = {}
    for name, text in BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
        found[name] = found.get(name, "") + "\n" + _dedent(text)
    return found


def _dedent(text: str) -> str:
    """By the three columns of the block, so that methods which go on keep theirs."""
    return "".join(f"{line[3:]}\n" for line in text.rstrip().splitlines())


@pytest.mark.parametrize("extended", [False, True])
def test_the_driver_of_the_guide_passes(
    extended: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"lamp_{extended}".lower()
    text = files()["lamp.py"]
    Path(f"{name}.py").write_text(text if extended else text.partition("    def prepare")[0], encoding="utf-8")
    Path("lamps.yaml").write_text(files()["lamps.yaml"], encoding="utf-8")

    status = driver_check.main(["conformance", f"{name}:LampDriver", "--host", "lamps.yaml"])

    assert status == 0, capsys.readouterr().out


def test_the_guide_is_one_page() -> None:
    assert len(GUIDE.read_text(encoding="utf-8").splitlines()) < 180
    assert sorted(files()) == ["lamp.py", "lamps.yaml"]
