# SPDX-License-Identifier: Apache-2.0
"""cyborg-driver-check: a driver at work on any tree of files, without a service around it.

    cyborg-driver-check discover nvidia_gpu --root / --config options.json
    cyborg-driver-check discover spdk --root /tmp/recorded --config options.json --socket /tmp/spdk.sock

``discover`` prints what the driver finds as a JSON list. A family is the name of a driver without ``_driver``; a
configuration is a JSON object of options by group, ``{"nvme_ssd": {"vendors": ["144d"]}}``. Vendors' tools, libraries
and sockets belong to the machine they run on, so a root other than / has none but those that are named.

The exit status is 0 when the driver could look, whatever it found; 1 when the host cannot be read; 2 when the driver
cannot be had or a file that was named is not understood.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cyborg.domain import errors
from cyborg.drivers import check, loader
from cyborg.drivers.base import Measures
from cyborg.drivers.fake_nvml import FakeNvml
from cyborg.drivers.host import Host
from cyborg.drivers.tools import Tools

SUFFIX = "_driver"
UNREADABLE, WRONG = 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        # Vendors' libraries print where they like; the result is all that goes to the output.
        with contextlib.redirect_stdout(sys.stderr):
            found = discover(options)
    except errors.HostUnreadable as exc:
        print(f"cyborg-driver-check: {exc}", file=sys.stderr)
        return UNREADABLE
    except errors.CyborgError as exc:
        print(f"cyborg-driver-check: {exc}", file=sys.stderr)
        return WRONG
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 0


def discover(options: argparse.Namespace) -> list[dict[str, Any]]:
    """What the driver finds; raises HostUnreadable, DriverError or InvalidRequest."""
    family = options.family.removesuffix(SUFFIX)
    replacements: dict[str, Any] = {}
    if options.nvml:
        replacements["nvml_library"] = FakeNvml(_read(options.nvml))
    if options.socket:
        replacements["find_socket"] = _sockets_in(options.socket)
    values = _read(options.config) if options.config else {}
    driver = loader.make(f"{family}{SUFFIX}", values, replacements)
    host = _host(options.root, Tools(path=options.path) if options.path else None)
    devices = list(driver.discover(host))
    return check.to_fixture_form(family, devices, driver.measure(host) if isinstance(driver, Measures) else None)


def _host(root: Path, tools: Tools | None) -> Host:
    if not root.is_dir():
        raise errors.HostUnreadable(f"{root} is no directory. Name one that has sys, and if need be dev and proc.")
    return Host(sysfs=root / "sys", devfs=root / "dev", procfs=root / "proc", tools=tools)


def _read(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise errors.InvalidRequest(f"{file} cannot be read as JSON: {exc}.") from exc
    if not isinstance(data, dict):
        raise errors.InvalidRequest(f"{file} does not hold a JSON object.")
    return data


def _sockets_in(place: Path) -> Callable[[str], str]:
    """A socket stands for whatever is configured; a directory holds the configured ones by name."""
    return lambda name: str(place / Path(name).name if place.is_dir() else place)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cyborg-driver-check", description="A driver at work on any tree of files.")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    one = verbs.add_parser("discover", help="print what a driver finds, as a JSON list")
    one.add_argument("family", metavar="FAMILY", help="a driver's name, with or without _driver")
    one.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="where sys, dev and proc are")
    one.add_argument("--config", type=Path, metavar="FILE", help="options by group, as JSON")
    one.add_argument("--path", metavar="DIR", help="where the vendors' tools are, as in the variable PATH")
    one.add_argument(
        "--socket", type=Path, metavar="PATH", help="in place of the configured sockets, or their directory"
    )
    one.add_argument("--nvml", type=Path, metavar="FILE", help="a table that answers in place of NVIDIA's library")
    return parser


if __name__ == "__main__":
    sys.exit(main())
