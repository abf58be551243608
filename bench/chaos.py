# SPDX-License-Identifier: Apache-2.0
"""Everything that may die, dies: all parts one after the other, each with its table. It takes hours.

    python -m bench.chaos
    python -m bench.chaos races outages         # these parts only

The databases and the broker of CYBORG_TEST_* are needed, and for the outages the servers' programs on this machine.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from bench import crash, figures, outages, races, reshape

BOTH = ("mysql", "postgresql")
Part = Callable[[Sequence[str]], int]
#: What each part is made of, and the arguments of each.
PARTS: Mapping[str, Sequence[tuple[Part, Sequence[str]]]] = {
    "crash": [
        (crash.main, []),
        *((crash.main, ["--database", name, "--points", "105", "--servers", "10"]) for name in BOTH),
    ],
    "reshape": [(reshape.main, ["--database", name]) for name in BOTH],
    "outages": [(outages.main, [])],
    "races": [(races.main, ["--database", name]) for name in BOTH],
}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    names = parser.parse_args(argv).parts or list(PARTS)
    if unknown := set(names) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    broker = os.environ.get("CYBORG_TEST_RABBITMQ")
    rows = []
    for name in names:
        for part, arguments in PARTS[name]:
            print(f"\n== {name} {' '.join(arguments)}", flush=True)
            own_broker = part is outages.main or not broker
            status = part(arguments if own_broker else [*arguments, "--rabbitmq", str(broker)])
            rows.append([f"{name} {' '.join(arguments)}", "all holds" if status == 0 else "WRONG"])
    print(f"\n{figures.table(['part', 'outcome'], rows)}")
    return int(any(row[1] == "WRONG" for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
