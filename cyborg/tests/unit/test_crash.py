# SPDX-License-Identifier: Apache-2.0
"""Points of a crash: nothing without the environment, a kill at the number that was named with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cyborg import crash

HITS = "from cyborg import crash\nfor name in ['a', 'b', 'a', 'b', 'a']: crash.point(name)"


def run(at: str, log: Path) -> int:
    environment = os.environ | {crash.AT: at, crash.LOG: str(log)}
    return subprocess.run([sys.executable, "-c", HITS], env=environment, check=False).returncode


def test_without_the_environment_a_point_is_a_function_that_does_nothing() -> None:
    assert crash.chosen({}) is crash.chosen({crash.AT: ""})
    assert not isinstance(crash.chosen({}), crash.Armed)


@pytest.mark.parametrize(
    ("at", "hits"),
    [
        ("b:1", ["a", "b", "killed at b:1"]),
        ("a:3", ["a", "b", "a", "b", "a", "killed at a:3"]),
        ("*:3", ["a", "b", "a", "killed at a:2"]),
    ],
)
def test_a_process_dies_at_the_number_and_its_log_says_where(tmp_path: Path, at: str, hits: list[str]) -> None:
    assert run(at, tmp_path / "log") == -signal.SIGKILL
    assert (tmp_path / "log").read_text().splitlines() == hits


def test_with_the_same_log_it_dies_once_and_then_goes_on(tmp_path: Path) -> None:
    assert run("b:2", tmp_path / "log") == -signal.SIGKILL
    assert run("b:2", tmp_path / "log") == 0


def test_a_log_alone_numbers_the_hits(tmp_path: Path) -> None:
    assert run("", tmp_path / "log") == 0
    assert (tmp_path / "log").read_text().split() == ["a", "b", "a", "b", "a"]
