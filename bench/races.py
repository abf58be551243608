# SPDX-License-Identifier: Apache-2.0
"""Very many bind at once through several APIs and conductors: who wins, who is told why, and does anybody hang?

    python -m bench.races --threads 200 --apis 4 --conductors 3 --database mysql

It takes a fresh database of the server that CYBORG_TEST_MYSQL or CYBORG_TEST_POSTGRESQL names, and a broker. What must
come out is in `cyborg.tests.functional.races`; the exit status says whether it did.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import figures, servers_given
from cyborg.tests import databases
from cyborg.tests.functional import races


def run(course: races.Course, threads: int) -> list[list[object]]:
    rows: list[list[object]] = []
    for name, race in races.RACES.items():
        started = time.monotonic()
        try:
            outcome = race(course, threads)
        except AssertionError as exc:
            outcome = f"WRONG: {exc}"
        seconds = time.monotonic() - started
        course.clean()
        rows.append([name, f"{seconds:.1f}", outcome])
    return rows


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.races", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=200, help="(default: %(default)s)")
    parser.add_argument("--apis", type=int, default=4, help="processes (default: %(default)s)")
    parser.add_argument("--conductors", type=int, default=3, help="processes (default: %(default)s)")
    servers_given.add(parser, database="mysql")
    options = servers_given.parse(parser, argv)
    with tempfile.TemporaryDirectory(prefix="cyborg-races-") as name:
        directory = Path(name)
        processes = {"apis": options.apis, "conductors": options.conductors}
        with (
            databases.fresh(options.database, directory) as url,
            races.race_course(directory, database=url, transport_url=options.rabbitmq, **processes) as course,
        ):
            rows = run(course, options.threads)
    print(f"{options.threads} threads, {options.apis} APIs, {options.conductors} conductors, {options.database}")
    print(figures.table(["race", "s, with the creates", "outcome"], rows))
    return int(any(str(row[-1]).startswith("WRONG") for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
