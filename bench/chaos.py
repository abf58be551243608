# SPDX-License-Identifier: Apache-2.0
"""Everything that may die, dies: all parts one after the other, each with its table, and a table of the parts.

    python -m bench.chaos                                                     # everything: hours
    python -m bench.chaos races outages --database postgresql                 # these parts only, on one database
    python -m bench.chaos --points 12 --length 10                             # less of everything

The databases and the broker of CYBORG_TEST_* are needed, and for the outages the servers' programs on this machine.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from bench import crash, figures, outages, races, reshape

BOTH = ("mysql", "postgresql")
Part = Callable[[Sequence[str]], int]
PARTS: Mapping[str, Part] = {
    "crash": crash.main,
    "reshape": reshape.main,
    "outages": outages.main,
    "races": races.main,
}


def main(argv: Sequence[str]) -> int:
    given = _parse(argv)
    rows = []
    for name in given.parts or list(PARTS):
        for arguments in _calls(name, given):
            print(f"\n== {name} {' '.join(arguments)}", flush=True)
            started = time.monotonic()
            status = PARTS[name]([*arguments, *_broker(name)])
            outcome = "all holds" if status == 0 else "WRONG"
            rows.append([f"{name} {' '.join(arguments)}", round(time.monotonic() - started), outcome])
    print(f"\n{figures.table(['part', 'seconds', 'outcome'], rows)}")
    return int(any(row[-1] == "WRONG" for row in rows))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--database", choices=BOTH, action="append", help="may be repeated (default: both)")
    parser.add_argument("--points", type=int, default=105, help="for each kind of process (default: %(default)s)")
    parser.add_argument("--length", type=float, default=60, help="of an outage, in seconds (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=200, help="of the races (default: %(default)s)")
    given = parser.parse_args(argv)
    if unknown := set(given.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    return given


def _calls(name: str, given: argparse.Namespace) -> Iterator[list[str]]:
    """What the part is called with, once for each database; a crash is tried without any server, too."""
    amounts = {
        "crash": ["--points", str(given.points), "--servers", "10"],
        "reshape": ["--points", str(given.points)],
        "outages": ["--length", f"{given.length:g}"],
        "races": ["--threads", str(given.threads)],
    }
    if name == "crash" and not given.database:
        yield amounts[name]
    for database in given.database or BOTH:
        yield ["--database", database, *amounts[name]]


def _broker(name: str) -> list[str]:
    """Outages have a broker of their own."""
    given = os.environ.get("CYBORG_TEST_RABBITMQ")
    return [] if name == "outages" or not given else ["--rabbitmq", given]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
