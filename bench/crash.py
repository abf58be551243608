# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every seam, one process kind after the other; what must hold has to hold 30 seconds later.

    python -m bench.crash                                                   # all in one process, on SQLite
    python -m bench.crash --points 100 --servers 10 --database mysql

With ``--database`` each part is a process of its own, on a fresh database of the server that CYBORG_TEST_MYSQL or
CYBORG_TEST_POSTGRESQL names. A life of servers is recorded for each kind, its points are numbered, and as many of them
as are asked for are hit, spread over the whole life; more points than there are begin at the front again. See
`cyborg.tests.functional.crash_harness`.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import figures, servers_given
from cyborg.tests import databases
from cyborg.tests.functional import crash_harness, crash_sites


@contextmanager
def site(options: argparse.Namespace, directory: Path) -> Iterator[crash_sites.Site]:
    if options.database is None:
        with crash_sites.Standalone(directory) as alone:
            yield alone
    else:
        with (
            databases.fresh(options.database, directory) as url,
            crash_sites.Deployed(directory, database=url, transport_url=options.rabbitmq) as deployed,
        ):
            yield deployed


def spread(points: Sequence[str], count: int) -> list[str]:
    """So many of them, in order."""
    if count > len(points):
        return list(itertools.islice(itertools.cycle(points), count))
    return [points[index * len(points) // count] for index in range(count)]


def hit_all(one: crash_sites.Site, kind: str, options: argparse.Namespace, directory: Path) -> list[object]:
    """A row of the table: points recorded, tried and hit, times something did not hold, the longest recovery."""
    points = crash_harness.record(one, kind, directory / f"{kind}.points", options.servers)
    tried = spread(points, options.points or len(points))[options.skip :]
    hit = wrong = 0
    longest = 0.0
    for number, at in enumerate(tried, 1):
        started = time.monotonic()
        outcome = crash_harness.kill_at(one, kind, at, directory / f"{kind}.{number}", options.servers)
        seconds = time.monotonic() - started
        hit += bool(outcome.hit)
        wrong += bool(outcome.problems)
        longest = max(longest, outcome.recovered_in)
        words = "; ".join(outcome.problems) or "all holds"
        print(
            f"{kind} {number}/{len(tried)} {outcome.hit or at + ' (not reached)'}: {words}, {seconds:.1f} s", flush=True
        )
    return [kind, len(points), len(tried), hit, wrong, longest]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.crash", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--points", type=int, default=0, help="of each kind of process; 0 takes each one once")
    parser.add_argument("--skip", type=int, default=0, help="so many of them, which an earlier run has done")
    parser.add_argument("--servers", type=int, default=0, help="further ones in each life: more points of the API")
    parser.add_argument("--kinds", nargs="+", help="only these kinds of process")
    servers_given.add(parser, database=None)
    options = servers_given.parse(parser, argv)
    with tempfile.TemporaryDirectory(prefix="cyborg-crash-") as name:
        directory = Path(name)
        with site(options, directory) as one:
            rows = [hit_all(one, kind, options, directory) for kind in options.kinds or one.kinds]
    print(figures.table(["process", "points", "tried", "killed", "wrong", "longest recovery s"], rows))
    return int(any(row[4] for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
