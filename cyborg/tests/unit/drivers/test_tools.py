# SPDX-License-Identifier: Apache-2.0
"""Vendors' tools: found on a path, started without a shell, given up on when they hang."""

import os
import sys
import time
from pathlib import Path

import pytest

from cyborg.drivers import tools
from cyborg.drivers.tools import Tools


def _tool(directory: Path, name: str, code: str) -> str:
    file = directory / name
    file.write_text(f"#!{sys.executable}\n{code}\n", encoding="utf-8")
    file.chmod(0o755)
    return str(directory)


def test_the_output_of_a_tool_is_what_it_printed_for_its_arguments_as_they_are(tmp_path: Path) -> None:
    path = _tool(
        tmp_path, "smi", "import os, sys; print(sys.argv[1:], os.environ['LC_ALL']); print('x', file=sys.stderr)"
    )
    assert Tools(path).run("smi", "info", "a b", "; $HOME") == "['info', 'a b', '; $HOME'] C\n"


@pytest.mark.parametrize(
    ("code", "output"),
    [("import sys; print('half'); sys.exit(3)", None), (r"import os; os.write(1, b'\xffok')", "\ufffdok")],
)
def test_a_tool_that_fails_says_nothing_and_bad_text_is_replaced(tmp_path: Path, code: str, output: str | None) -> None:
    assert Tools(_tool(tmp_path, "smi", code)).run("smi") == output


def test_a_tool_that_is_not_there_or_cannot_be_started_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("#!/nowhere/python\n", encoding="utf-8")
    (tmp_path / "broken").chmod(0o755)
    assert Tools(str(tmp_path)).run("broken") is None
    assert Tools(str(tmp_path)).run("missing") is None
    assert Tools("").run("ls") is None


def test_a_tool_that_hangs_is_killed_with_its_children_and_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mark = tmp_path / "pid"
    code = f"import os, time; os.fork(); open({str(mark)!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(60)"
    own = Tools(_tool(tmp_path, "smi", code), timeout=1)
    assert own.run("smi") is None
    begun = time.monotonic()
    assert own.run("smi") is None
    assert time.monotonic() - begun < 0.5
    assert len(caplog.records) == 1
    pids = mark.read_text(encoding="utf-8").split()
    assert len(pids) == 2
    assert not any(_runs(pid) for pid in pids)


def test_a_tool_that_hung_is_tried_again_after_the_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "PAUSE", 0.0)
    own = Tools(_tool(tmp_path, "smi", "import time; time.sleep(60)"), timeout=0.3)
    assert own.run("smi") is None
    _tool(tmp_path, "smi", "print('well')")
    own._timeout = 5
    assert own.run("smi") == "well\n"


def _runs(pid: str) -> bool:
    """A zombie does not; who reaps the children's children of a test is not our matter."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}/exe")  # noqa: PTH110 - a link that leads nowhere
