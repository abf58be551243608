# SPDX-License-Identifier: Apache-2.0
"""cyborg-driver-check: a driver at work on any tree of files, without a service around it.

    cyborg-driver-check discover nvidia_gpu --root / --config options.json
    cyborg-driver-check discover spdk --root /tmp/recorded --config options.json --socket /tmp/spdk.sock
    cyborg-driver-check image intel_fpga hello.gbs
    cyborg-driver-check conformance lamp:LampDriver --host plain.yaml --host partitioned.yaml

``discover`` prints what the driver finds as a JSON list. A family is the name of a driver, ``_driver`` may be left out;
a configuration is a JSON object of options by group, ``{"nvme_ssd": {"vendors": ["144d"]}}``. Vendors' tools, libraries
and sockets belong to the machine they run on, so a root other than / has none but those that are named.

``image`` prints the verdict on a file that is to be loaded into a card of the family, as a JSON object: whether to
``accept`` it, and what was ``found`` in it or the ``reason`` why not.

``conformance`` does to recorded hosts what happens to real ones, and prints how the driver took it: a driver by its
name, or as ``module:Class`` from where Python finds it.

The exit status is 0 when the driver could look, whatever it found, the image is accepted, or the driver passes; 1 when
the host cannot be read, the image is refused, or some check fails; 2 when the driver cannot be had, or a file that was
named cannot be read or is not understood.
"""

import argparse
import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cyborg.domain import errors
from cyborg.drivers import check, images, loader
from cyborg.drivers.base import Measures, TakesImages
from cyborg.drivers.conformance import run
from cyborg.drivers.conformance.subject import Subject
from cyborg.drivers.fake_nvml import FakeNvml
from cyborg.drivers.host import Host
from cyborg.drivers.tools import Tools

SUFFIX = "_driver"
UNREADABLE = REFUSED = FAILED = 1
WRONG = 2


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        status: int = options.verb(options)
        sys.stdout.flush()
    except errors.CyborgError as exc:
        print(f"cyborg-driver-check: {' '.join(exc.message.split())}", file=sys.stderr)
        return UNREADABLE if isinstance(exc, errors.HostUnreadable) else WRONG
    except BrokenPipeError:
        # Whoever read the output has enough of it; Python would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _print_found(options: argparse.Namespace) -> int:
    # Vendors' libraries print where they like; the result is all that goes to the output.
    with contextlib.redirect_stdout(sys.stderr):
        found = discover(options)
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 0


def _print_verdict(options: argparse.Namespace) -> int:
    verdict = judge(options.family, options.file)
    print(json.dumps(images.describe(verdict), indent=1, ensure_ascii=False))
    return REFUSED if isinstance(verdict, images.Refusal) else 0


def _print_conformance(options: argparse.Namespace) -> int:
    failed, driver = 0, options.driver if ":" in options.driver else _name(options.driver)
    with _in_the_kit(), tempfile.TemporaryDirectory(prefix="cyborg-driver-check-") as directory:
        subject = Subject.of(driver, options.host, Path(directory))
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
    name = _name(options.family)
    replacements: dict[str, Any] = {}
    if options.nvml:
        replacements["nvml_library"] = FakeNvml(_object(options.nvml))
    if options.socket:
        replacements["find_socket"] = _sockets_in(options.socket)
    driver = loader.make(name, _options(options.config) if options.config else {}, replacements)
    host = _host(options.root, Tools(path=options.path) if options.path else None)
    devices = list(driver.discover(host))
    sensors = driver.measure(host) if isinstance(driver, Measures) else None
    return check.to_fixture_form(name.removesuffix(SUFFIX), devices, sensors)


def judge(family: str, file: Path) -> images.Verdict:
    """Whether the file may be loaded into cards of the family; raises DriverError, and InvalidRequest for no file."""
    cls = loader.class_of(_name(family))
    with _readable(file):
        if not file.is_file():
            raise errors.InvalidRequest(f"{file} is no file, or there is none of that name.")
        if isinstance(cls, TakesImages):
            return images.inspect(file, cls.image_formats)
    return images.Refusal(reason="not_supported", message=f"Cards of the family {family} take no images from a host.")


def _name(family: str) -> str:
    """The name that can be enabled."""
    return family if family in loader.known() else f"{family.removesuffix(SUFFIX)}{SUFFIX}"


def _host(root: Path, tools: Tools | None) -> Host:
    if not os.path.isdir(root):  # noqa: PTH112 - False also where nobody may look
        raise errors.HostUnreadable(f"{root} is no directory. Name one that has sys, and if need be dev and proc.")
    return Host(sysfs=root / "sys", devfs=root / "dev", procfs=root / "proc", tools=tools)


def _options(file: Path) -> dict[str, dict[str, Any]]:
    values = _object(file)
    for group, options in values.items():
        if not isinstance(options, dict):
            raise errors.InvalidRequest(
                f"{file}: {group} is {json.dumps(options)}. Options are given by group and name, such as "
                '{"nvme_ssd": {"vendors": ["144d"]}}.'
            )
    return values


def _object(file: Path) -> dict[str, Any]:
    with _readable(file):
        text = file.read_bytes()
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise errors.InvalidRequest(f"{file} is no JSON: {exc}.") from exc
    if not isinstance(data, dict):
        raise errors.InvalidRequest(f"{file} holds no JSON object, which is what stands in braces.")
    return data


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise errors.InvalidRequest(f"{file} cannot be read: {exc.strerror}.") from exc


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
    image = verbs.add_parser("image", help="tell whether a file may be loaded into an FPGA, as a JSON object")
    image.set_defaults(verb=_print_verdict)
    image.add_argument("family", metavar="FAMILY", help="a driver's name, with or without _driver")
    image.add_argument("file", type=Path, metavar="FILE", help="a GBS of Intel's cards, or an xclbin of Xilinx's")
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
