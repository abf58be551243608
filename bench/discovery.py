# SPDX-License-Identifier: Apache-2.0
"""What a look at a host with many functions costs, for each driver.

    python -m bench.discovery --functions 64

The host is a golden host of the driver, so many times over that it has so many functions. The look is compared with
reading the same tree plainly, every file of it: `os.walk` and a read of each. Times are those of the processor, so that
others who use the machine disturb little. The files are files, so what a kernel takes to answer is not in them.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import figures
from cyborg.tests.unit.drivers import builders, counting, golden

COLUMNS = ("family", "devices", "files", "reads", "lists", "links", "best ms", "median ms", "to plain reading")


def timed(work: Callable[[], object], rounds: int) -> list[float]:
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return seconds


def read_plainly(root: Path) -> int:
    """How many files were read."""
    count = 0
    for place, _, names in os.walk(root):
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118 - as quick as it gets
            if not os.path.islink(path):  # noqa: PTH114
                with open(path, "rb", buffering=0) as file:  # noqa: PTH123
                    file.read()
                count += 1
    return count


def row(family: str, functions: int, rounds: int, directory: Path) -> list[object]:
    data = counting.host_of(family, functions)
    with golden.at_work(family, data, directory) as (driver, host):
        devices = len(list(driver.discover(host)))
        calls = counting.counted(lambda: list(driver.discover(host)))
        own = timed(lambda: list(driver.discover(host)), rounds)
        plain = timed(lambda: read_plainly(directory), rounds)
        files = read_plainly(directory)
    best, median = 1000 * min(own), 1000 * statistics.median(own)
    return [family, devices, files, calls.reads, calls.lists, calls.links, best, median, f"{min(own) / min(plain):.2f}"]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.discovery", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--functions", type=int, default=64, help="on the host (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=25, help="to take best and median of (default: %(default)s)")
    parser.add_argument("families", nargs="*", default=counting.FAMILIES, metavar="FAMILY", help="the default is all")
    options = parser.parse_args(argv)
    unknown = sorted(set(options.families) - set(builders.families()))
    if unknown:
        parser.error(f"there is no family {unknown[0]}; known are {', '.join(counting.FAMILIES)}")
    rows = []
    for family in options.families:
        with tempfile.TemporaryDirectory(prefix="cyborg-bench-") as name:
            rows.append(row(family, options.functions, options.rounds, Path(name)))
    print(f"{options.functions} functions")
    print(figures.table(COLUMNS, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
