# SPDX-License-Identifier: Apache-2.0
"""Every driver on its golden hosts as an ordinary user; a program, because there is no way back from there.

python -m cyborg.tests.unit.drivers.as_nobody prints as JSON what was found by host, and under NO_TROUBLE the hosts that
were looked at without an exception while every third file, and then every third directory, was closed to the user.
"""

import json
import os
import pwd
import sys
import tempfile
from pathlib import Path
from typing import Any

from cyborg.domain import wire
from cyborg.tests.unit.drivers import builders, golden

NOBODY = "nobody"
NO_TROUBLE = "no trouble"


def main() -> None:
    # What has to be imported or read is so before the rights go: the project may lie where nobody may look.
    recordings = {case: golden.recording(case) for case in golden.CASES}
    for family in builders.families():
        builders.driver(family)
    _drop_rights()
    found: dict[str, Any] = {NO_TROUBLE: []}
    with tempfile.TemporaryDirectory() as name:
        for number, (case, data) in enumerate(recordings.items()):
            directory = Path(name) / str(number)
            directory.mkdir()
            with golden.at_work(golden.family_of(case), data, directory) as (driver, host):
                found[case] = wire.to_wire(tuple(driver.discover(host)))
                _look_at_closed(driver, host, directory)
            found[NO_TROUBLE].append(case)
    json.dump(found, sys.stdout)


def _drop_rights() -> None:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam(NOBODY)
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    assert os.geteuid() != 0


def _look_at_closed(driver: Any, host: Any, directory: Path) -> None:
    """Raises what the driver raises; all is open again afterwards."""
    below = sorted(directory.glob("sys/devices/**/*"))
    real = [path for path in below if not path.is_symlink()]
    for closed in ([path for path in real if path.is_file()][::3], [path for path in real if path.is_dir()][1::3]):
        for path in reversed(closed):
            path.chmod(0)
        try:
            list(driver.discover(host))
        finally:
            for path in closed:
                path.chmod(0o700)


if __name__ == "__main__":
    main()
