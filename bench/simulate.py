# SPDX-License-Identifier: Apache-2.0
"""Random clouds with the real Placement: does every server get the right card, exactly once, and how many boots fail?

    python -m bench.simulate                                             # every way, a long history each: hours
    python -m bench.simulate --way counted --steps 1000 --seed 3
    python -m bench.simulate --way nested --at-once 16 --nova-managed

A way is a layout and a naming. Each has a history in which servers are built one by one, and one, of a tenth of the
steps, in which many have claimed before the first of them binds. What holds is checked after every step, see
`cyborg.tests.simulation`; the first thing that does not ends that history, and the exit status is 1. The table has the
boots that passed scheduling and were refused at their bind, and for which profiles.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import TypeAlias

from bench import figures
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.tests.simulation import simulation

WAYS: Mapping[str, Shape] = {
    "nested": Shape(layout=Layout.NESTED),
    "generic": Shape(layout=Layout.COMPUTE_NODE, naming=Naming.GENERIC),
    "counted": Shape(layout=Layout.COMPUTE_NODE, naming=Naming.COUNTED),
}
AT_ONCE = (1, 16)
#: Columns of the table between what was run and what failed, each an outcome of `simulation.Result`.
OUTCOMES = ("booted", "deleted", "no valid host", "failed at bind", "reports")
COLUMNS = ("way", "at once", "steps", *OUTCOMES, "seconds", "failed at bind, by profile")
#: Seconds, and what came out, or what was wrong.
History: TypeAlias = tuple[float, simulation.Result | str]


def main(argv: Sequence[str]) -> int:
    given = _parser().parse_args(argv)
    histories = [
        (way, _options(given, WAYS[way], at_once))
        for at_once in given.at_once or AT_ONCE
        for way in given.way or list(WAYS)
    ]
    # Processes of their own: a history is one thread, and what it leaves in memory is nobody's.
    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(given.jobs, mp_context=context, max_tasks_per_child=1) as pool:
        running = {pool.submit(_history, options): (way, options) for way, options in histories}
        for done in futures.as_completed(running):
            print(_text(*running[done], done.result()), flush=True)
    ended = [(*running[one], one.result()) for one in running]
    print(f"\n{figures.table(COLUMNS, [_row(*one) for one in ended])}")
    return int(any(isinstance(result, str) for _, _, (_, result) in ended))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.simulate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--way", action="append", choices=list(WAYS), help="may be repeated (default: all)")
    parser.add_argument(
        "--at-once", action="append", type=int, metavar="N", help="may be repeated (default: 1, and then 16)"
    )
    parser.add_argument("--hosts", type=int, default=50, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the histories (default: %(default)s)")
    parser.add_argument("--nova-managed", action="store_true", help="nova-compute manages the providers of the hosts")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="histories at a time (default: %(default)s)")
    return parser


def _options(given: argparse.Namespace, shape: Shape, at_once: int) -> simulation.Options:
    return simulation.Options(
        shape=shape,
        hosts=given.hosts,
        steps=given.steps if at_once == 1 else max(1, given.steps // 10),
        concurrent=at_once,
        seed=given.seed,
        nova_managed=given.nova_managed,
    )


def _history(options: simulation.Options) -> History:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cyborg-simulation-") as directory:
        try:
            result: simulation.Result | str = simulation.simulate(Path(directory), options)
        except AssertionError as exc:
            result = "\n".join([str(exc), *getattr(exc, "__notes__", ())])
    return time.monotonic() - started, result


def _text(way: str, options: simulation.Options, history: History) -> str:
    _, result = history
    said = result if isinstance(result, str) else f"every invariant held; {dict(sorted(result.outcomes.items()))}"
    return f"{way}, {options.concurrent} at once: {said}"


def _row(way: str, options: simulation.Options, history: History) -> list[object]:
    seconds, result = history
    start, end = [way, options.concurrent, options.steps], round(seconds)
    if isinstance(result, str):
        return [*start, *(None for _ in OUTCOMES), end, "WRONG"]
    failed = ", ".join(f"{name} {number}" for name, number in sorted(result.failed.items()))
    return [*start, *(result.outcomes[name] for name in OUTCOMES), end, failed or None]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
