# SPDX-License-Identifier: Apache-2.0
"""The arguments of benchmarks whose parts are processes of their own, on a database server and a broker."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from cyborg.tests import databases


def add(parser: argparse.ArgumentParser, *, database: str | None) -> None:
    """``database`` is the kind that is taken when none is named."""
    kinds = list(databases.VARIABLES)
    parser.add_argument("--database", choices=kinds, default=database, help="of the parts (default: %(default)s)")
    parser.add_argument("--rabbitmq", default="rabbit://guest:guest@127.0.0.1:5672/", help="(default: %(default)s)")


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Ends the program where the server of that kind is not named in the environment.

    From now on SIGTERM ends what was started with it.
    """
    options = parser.parse_args(argv)
    variable = databases.VARIABLES.get(options.database)
    if variable and not os.environ.get(variable):
        parser.error(f"--database {options.database} needs the server's URL in {variable}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return options
