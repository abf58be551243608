# SPDX-License-Identifier: Apache-2.0
"""Looking needs no rights: an ordinary user finds what root finds, and what is closed to the user does no harm."""

import json
import subprocess
import sys

from cyborg.tests.unit.drivers import as_nobody, golden


def test_an_ordinary_user_finds_the_same_on_every_golden_host_and_survives_closed_files() -> None:
    done = subprocess.run([sys.executable, "-m", as_nobody.__name__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop(as_nobody.NO_TROUBLE) == golden.CASES
    assert {case: {"devices": devices} for case, devices in found.items()} == {
        case: golden.report(case) for case in golden.CASES
    }
