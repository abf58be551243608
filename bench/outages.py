# SPDX-License-Identifier: Apache-2.0
"""Everything that the service stands on goes away for a minute, one after the other, under traffic.

    python -m bench.outages                                     # MariaDB and PostgreSQL, a minute each
    python -m bench.outages --database mysql --length 10 "broker killed" Nova

Two APIs, two conductors and two agents run over servers that are made for this from the programs of this machine, see
`cyborg.tests.functional.private_servers`; nobody else's are touched. What must hold is in
`cyborg.tests.functional.outages`; the exit status says whether it did.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import figures
from cyborg.tests.functional import outages

COLUMNS = [
    *(
        "outage",
        "database",
        "s",
        "boots",
        "answered",
        "told 503",
        "longest call s",
        "lost",
        "recovered after s",
        "wrong",
    )
]
DATABASES = ("mysql", "postgresql")


def row(database: str, one: outages.Outcome) -> list[object]:
    boots = [one.attempted, one.answered, one.refused]
    return [one.name, database, one.length, *boots, one.longest_call, len(one.lost), one.recovered_in, len(one.wrong)]


def suffer_all(database: str, names: Sequence[str], length: float) -> list[list[object]]:
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="cyborg-outages-") as directory,
        outages.Scene.of(database, Path(directory)) as scene,
    ):
        for name in names:
            outcome = outages.suffer(scene, name, length)
            rows.append(row(database, outcome))
            print(f"{name} on {database}: {'; '.join(outcome.wrong) or 'all holds'}", flush=True)
    return rows


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.outages", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="OUTAGE", help=f"of {', '.join(outages.OUTAGES)} (default: all)")
    parser.add_argument("--database", choices=DATABASES, action="append", help="(default: both)")
    parser.add_argument("--length", type=float, default=60, help="of each outage, in seconds (default: %(default)s)")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - outages.OUTAGES.keys():
        parser.error(f"there is no outage {', '.join(sorted(unknown))}")
    # What it started has to be ended with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    rows = []
    for database in options.database or DATABASES:
        rows += suffer_all(database, options.names or list(outages.OUTAGES), options.length)
    print(figures.table(COLUMNS, rows))
    return int(any(row[-1] for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
