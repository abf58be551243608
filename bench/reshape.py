# SPDX-License-Identifier: Apache-2.0
"""kill -9 of `cyborg-manage placement reshape` at every seam, there and back; it is run again and must end well.

    python -m bench.reshape --database postgresql
    python -m bench.reshape --points 10

Two servers hold cards of the host that is moved. What must hold is in `cyborg.tests.functional.reshape_crash`; the
exit status says whether it did.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import figures, servers_given
from bench.crash import spread
from cyborg.domain.shape import Layout
from cyborg.tests import databases
from cyborg.tests.functional import reshape_crash

WAYS = (Layout.NESTED, Layout.COMPUTE_NODE)


def kill_all(host: reshape_crash.MovingHost, count: int) -> list[list[object]]:
    """A row of the table for each way; there and back by turns, so that no move is made for its own sake."""
    recorded = {to: host.points(to) for to in WAYS}
    tried = {to: spread(points, count or len(points)) for to, points in recorded.items()}
    killed = dict.fromkeys(WAYS, 0)
    wrong = dict.fromkeys(WAYS, 0)
    for number in range(max(map(len, tried.values()))):
        for to in WAYS:
            if number >= len(tried[to]):
                host.move(to)
                continue
            at = tried[to][number]
            problems = host.kill_at(at, to)
            killed[to] += reshape_crash.NOT_REACHED not in problems
            wrong[to] += bool(problems)
            print(f"to {to} {number + 1}/{len(tried[to])} {at}: {'; '.join(problems) or 'all holds'}", flush=True)
    return [[f"to {to}", len(recorded[to]), len(tried[to]), killed[to], wrong[to]] for to in WAYS]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.reshape", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--points", type=int, default=0, help="on each way; 0 takes each one once")
    servers_given.add(parser, database="mysql")
    options = servers_given.parse(parser, argv)
    with tempfile.TemporaryDirectory(prefix="cyborg-reshape-") as name:
        directory = Path(name)
        with (
            databases.fresh(options.database, directory) as url,
            reshape_crash.moving_host(directory, database=url, transport_url=options.rabbitmq) as host,
        ):
            rows = kill_all(host, options.points)
    print(f"cyborg-manage placement reshape, {options.database}")
    print(figures.table(["way", "points", "tried", "killed", "wrong"], rows))
    return int(any(row[-1] for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
