# SPDX-License-Identifier: Apache-2.0
"""Random clouds with the real Placement: does every server get the right card, exactly once, and how many boots fail?

    python -m bench.simulate --layout nested --steps 10000
    python -m bench.simulate --layout compute_node --concurrent 16 --steps 2000 --seed 3
    python -m bench.simulate --naming counted --nova-managed

What holds is checked after every step, see `cyborg.tests.simulation`; the first thing that does not ends the run with
status 1. Printed are the outcomes, and by profile the boots that passed scheduling and were refused at their bind.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import figures
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.tests.simulation import simulation


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.simulate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layout", choices=list(Layout), default=Layout.COMPUTE_NODE, type=Layout)
    parser.add_argument("--naming", choices=list(Naming), default=Naming.GENERIC, type=Naming)
    parser.add_argument("--hosts", type=int, default=50, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--concurrent", type=int, default=1, help="boots that claim before the first of them binds")
    parser.add_argument("--seed", type=int, default=1, help="of the history (default: %(default)s)")
    parser.add_argument("--nova-managed", action="store_true", help="nova-compute manages the providers of the hosts")
    given = parser.parse_args(argv)
    options = simulation.Options(
        shape=Shape(layout=given.layout, naming=given.naming),
        hosts=given.hosts,
        steps=given.steps,
        concurrent=given.concurrent,
        seed=given.seed,
        nova_managed=given.nova_managed,
    )
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cyborg-simulation-") as directory:
        try:
            result = simulation.simulate(Path(directory), options)
        except AssertionError as exc:
            print(f"bench.simulate: {exc}", *getattr(exc, "__notes__", ()), file=sys.stderr)
            return 1
    whose = " that nova-compute manages" if options.nova_managed else ""
    print(
        f"{options.shape}, {options.hosts} hosts{whose}, {options.steps} steps, {options.concurrent} at once", end=", "
    )
    print(f"seed {options.seed}: {time.monotonic() - started:.0f} s, every invariant held")
    print(figures.table(["outcome", "number"], sorted(result.outcomes.items())))
    if result.failed:
        print(figures.table(["failed at bind", "number"], sorted(result.failed.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
