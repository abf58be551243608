# SPDX-License-Identifier: Apache-2.0
"""The ``openstack`` command, many times in one process: what it costs is to start it.

with CommandLine(environment) as openstack:
    openstack("accelerator", "device", "list").json
    openstack("accelerator", "device", "show", "no-such-device", expect=1).errors
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

#: Each line in is the arguments of a command; each line out is what became of it.
LOOP = """
import contextlib, io, json, logging, sys
from openstackclient import shell
for line in sys.stdin:
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            status = shell.main(json.loads(line))
        except SystemExit as exc:
            status = exc.code
    for handler in list(logging.getLogger().handlers):
        logging.getLogger().removeHandler(handler)
    print(json.dumps([status or 0, out.getvalue(), errors.getvalue()]), flush=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command wrote."""

    text: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class CommandLine:
    """Of the Python ``python``, against the cloud that ``environment`` names."""

    def __init__(self, environment: Mapping[str, str], *, python: str = sys.executable) -> None:
        self.environment = environment
        self.python = python
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHON"))}
        self._process = subprocess.Popen(
            [python, "-W", "ignore", "-c", LOOP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean | dict(environment),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def __call__(self, *arguments: str, expect: int = 0, style: str = "json") -> Said:
        """Run a command that shows something in ``style``; AssertionError when its exit status is another."""
        return self.run(*arguments, "-f", style, expect=expect)

    def run(self, *arguments: str, expect: int = 0) -> Said:
        """Run a command that shows nothing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(arguments)}\n")
        self._process.stdin.flush()
        status, text, errors = json.loads(self._process.stdout.readline())
        assert status == expect, f"openstack {' '.join(arguments)}: {status}\n{text}\n{errors}"
        return Said(text=text, errors=errors)


def token_environment(url: str, **endpoints: str) -> dict[str, str]:
    """For a service without Keystone; ``endpoints`` are those of other services, by type."""
    overrides = {f"OS_{name.upper()}_ENDPOINT_OVERRIDE": value for name, value in endpoints.items()}
    return {
        "OS_AUTH_TYPE": "admin_token",
        "OS_ENDPOINT": url,
        "OS_TOKEN": "admin",
        "OS_ACCELERATOR_ENDPOINT_OVERRIDE": f"{url}/v2",
    } | overrides
