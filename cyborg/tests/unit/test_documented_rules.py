# SPDX-License-Identifier: Apache-2.0
"""Every rule of the page about Nova names a test that exists."""

import re
from pathlib import Path

import pytest

import cyborg

TESTS = Path(cyborg.__file__).parent / "tests"
PAGE = TESTS.parents[1] / "doc" / "source" / "contributor" / "nova.rst"


def test_the_page_about_nova_names_tests_that_exist() -> None:
    if not PAGE.exists():
        pytest.skip("the documentation is not here")
    named = set(re.findall(r"^     - ``(.+)``$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    functions = {
        name
        for file in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    steps = {
        name.strip("\"'")
        for file in (TESTS / "gabbits").glob("*.yaml")
        for name in re.findall(r"^- name: (.+)$", file.read_text("utf-8"), re.MULTILINE)
    }
    assert len(named) > 40
    assert named - functions - steps == set()
