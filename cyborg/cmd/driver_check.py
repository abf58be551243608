# SPDX-License-Identifier: Apache-2.0
"""cyborg-driver-check: a driver at work on any tree of files, without a service around it.

    cyborg-driver-check discover nvidia_gpu --root / --config options.json
    cyborg-driver-check discover spdk --root /tmp/recorded --config options.json --socket /tmp/spdk.sock
    cyborg-driver-check conformance lamp:LampDriver --host plain.yaml --host partitioned.yaml

``discover`` prints what the driver finds as a JSON list. A family is the name of a driver without ``_driver``; a
configuration is a JSON object of options by group, ``{"nvme_ssd": {"vendors": ["144d"]}}``. Vendors' tools, libraries
and sockets belong to the machine they run on, so a root other than / has none but those that are named.

``conformance`` does to recorded hosts what happens to real ones, and prints how the driver took it: a driver by its
name, or as ``module:Class`` from where Python finds it.

The exit status is 0 when the driver could look, whatever it found, or passes; 1 when the host cannot be read, or some
check fails; 2 when the driver cannot be had or a file that was named is not understood.
"""

import argparse
import contextlib
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cyborg.domain import errors
from cyborg.drivers import check, loader
from cyborg.drivers.base import Measures
from cyborg.drivers.conformance import run
from cyborg.drivers.conformance.subject import Subject
from cyborg.drivers.fake_nvml import FakeNvml
from cyborg.drivers.host import Host
from cyborg.drivers.tools import Tools

SUFFIX = "_driver"
UNREADABLE = FAILED = 1
WRONG = 2


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        status: int = options.verb(options)
    except errors.HostUnreadable as exc:
        print(f"cyborg-driver-check: {exc}", file=sys.stderr)
        return UNREADABLE
    except errors.CyborgError as exc:
        print(f"cyborg-driver-check: {exc}", file=sys.stderr)
        return WRONG
    return status


def _print_found(options: argparse.Namespace) -> int:
    # Vendors' libraries print where they like; the result is all that goes to the output.
    with contextlib.redirect_stdout(sys.stderr):
        found = discover(options)
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 0


def _print_conformance(options: argparse.Namespace) -> int:
    failed = 0
    with _in_the_kit(), tempfile.TemporaryDirectory(prefix="cyborg-driver-check-") as directory:
        subject = Subject.of(options.driver, options.host, Path(directory))
        for result in run.run(subject):
            failed += bool(result.problems)
            print(*run.lines(result), sep="\n", flush=True)
    print(f"{options.driver}: {'passes' if not failed else f'{failed} checks failed'}")
    return FAILED if failed else 0


@contextlib.contextmanager
def _in_the_kit() -> Iterator[None]:
    """Drivers of the working directory are found, and no log tells of hosts that are broken on purpose."""
    logger, here = logging.getLogger("cyborg"), str(Path.cwd())
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
        logger.setLevel(level)


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
    one.set_defaults(verb=_print_found)
    one.add_argument("family", metavar="FAMILY", help="a driver's name, with or without _driver")
    one.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="where sys, dev and proc are")
    one.add_argument("--config", type=Path, metavar="FILE", help="options by group, as JSON")
    one.add_argument("--path", metavar="DIR", help="where the vendors' tools are, as in the variable PATH")
    one.add_argument(
        "--socket", type=Path, metavar="PATH", help="in place of the configured sockets, or their directory"
    )
    one.add_argument("--nvml", type=Path, metavar="FILE", help="a table that answers in place of NVIDIA's library")
    kit = verbs.add_parser("conformance", help="check a driver on hosts that answer as a kernel does")
    kit.set_defaults(verb=_print_conformance)
    kit.add_argument("driver", metavar="DRIVER", help="a name that can be enabled, or module:Class")
    kit.add_argument(
        "--host",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="a recorded host with cards of the driver, and its options; may be repeated",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
