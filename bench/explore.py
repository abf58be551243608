# SPDX-License-Identifier: Apache-2.0
"""Every world that binds, releases and faults can lead to: is a unit ever given away twice, or unclean, or stuck?

    python -m bench.explore                                                         # the table of the documentation
    python -m bench.explore --host 2:made --host 1:ready --faults 2 --operations 2  # one exploration, of any size

A host is one card of so many units, which have to be made before they are attached or are ready. See
`cyborg.tests.unit.domain.explorer`. The first thing that is wrong is printed with the way to it, and ends the run with
status 1.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

from bench import figures
from cyborg.domain.arq import TRANSITIONS
from cyborg.tests.unit.domain.explorer import edges, explore
from cyborg.tests.unit.domain.explorer_steps import Bounds
from cyborg.tests.unit.domain.explorer_values import HostKind

KINDS = {"made": True, "ready": False}
#: Hosts, requests, faults, operations under way with which users still bind.
TABLE: tuple[tuple[str, int, int, int], ...] = (
    ("1:made 1:ready", 3, 1, 1),
    ("1:made 1:ready", 3, 0, 3),
    ("2:ready 1:made", 3, 1, 1),
    ("2:made", 2, 1, 1),
    ("2:made 1:ready", 3, 0, 1),
    ("1:made", 3, 1, 2),
    ("1:made", 3, 2, 2),
)
COLUMNS = ["hosts", "requests", "faults", "operations", "worlds", "steps", "transitions", "seconds"]


def host_kind(text: str) -> HostKind:
    """Of ``2:made``; ArgumentTypeError for anything else."""
    units, _, kind = text.partition(":")
    if not units.isdigit() or kind not in KINDS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of the form UNITS:made or UNITS:ready")
    return HostKind(int(units), made=KINDS[kind])


def explorations(options: argparse.Namespace) -> Iterator[tuple[str, Bounds]]:
    rows = TABLE
    if options.host:
        rows = ((" ".join(options.host), options.requests, options.faults, options.operations),)
    for hosts, requests, faults, operations in rows:
        kinds = tuple(host_kind(one) for one in hosts.split())
        yield hosts, Bounds(hosts=kinds, requests=requests, faults=faults, operations=operations)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.explore", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", action="append", metavar="UNITS:made|ready", help="may be repeated; else the table")
    parser.add_argument("--requests", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--faults", type=int, default=1, help="in one history (default: %(default)s)")
    parser.add_argument("--operations", type=int, default=1, help="with which users still bind (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        found = list(explorations(options))
    except argparse.ArgumentTypeError as exc:
        parser.error(str(exc))
    rows = []
    for hosts, bounds in found:
        started = time.process_time()
        result = explore(bounds)
        if result.trouble is not None:
            print(f"{hosts}, {bounds.faults} fault(s), {bounds.operations} operation(s): {result.trouble}")
            return 1
        taken = f"{len(result.observed)} of {len(edges(TRANSITIONS))}"
        seconds = time.process_time() - started
        rows.append(
            [hosts, bounds.requests, bounds.faults, bounds.operations, result.worlds, result.steps, taken, seconds]
        )
    print(figures.table(COLUMNS, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
