# SPDX-License-Identifier: Apache-2.0
"""JSON encoders, measured on real answers: how much of a request's time is theirs.

    python -m bench.encoders --devices 100

The application answers a list in this process, without a server, over SQLite; then its body is encoded again, by the
standard library and by what else is installed. The share is that of the whole request; what another encoder would save
of it is the difference.
"""

import argparse
import functools
import importlib
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import webob

from bench import figures
from cyborg import conf as configuration
from cyborg.api import app
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.store.engine import Store
from cyborg.tests.functional import wsgi_servers

Encode = Callable[[Any], bytes]
VERSIONS = ("2.0", "latest")


def standard(value: Any) -> bytes:
    """As `cyborg.api.app` does it, to the bytes that are sent."""
    return json.dumps(value, separators=(",", ":")).encode()


def encoders() -> dict[str, Encode]:
    found: dict[str, Encode] = {"json": standard}
    for name, module, function in (("orjson", "orjson", "dumps"), ("msgspec", "msgspec.json", "encode")):
        if importlib.util.find_spec(name) is None:
            print(f"{name}: left out, it is not installed")
        else:
            found[name] = getattr(importlib.import_module(module), function)
    return found


def timed(work: Callable[[], object], repeat: int) -> float:
    """Seconds of CPU for once: all happens in this process, and nobody else's work counts."""
    started = time.process_time()
    for _ in range(repeat):
        work()
    return (time.process_time() - started) / repeat


def application(directory: Path, devices: int) -> app.Application:
    conf = configuration.new_config()
    conf([], default_config_files=[str(wsgi_servers.configure(directory, devices=devices))])
    conductor = ConductorClient(conf, messaging.get_transport(conf))
    return app.load(conf, Store.from_conf(conf), conductor)


def rows(serve: app.Application, version: str, options: argparse.Namespace) -> list[list[object]]:
    """Alternating, round by round; medians."""
    headers = {"X-Auth-Token": "admin", "OpenStack-API-Version": f"accelerator {version}"}

    def ask() -> bytes:
        request = webob.Request.blank("/v2/devices", headers=headers)
        return bytes(request.get_response(serve).body)

    body = ask()
    value = json.loads(body)
    found = encoders()
    whole: list[float] = []
    parts: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(options.rounds):
        whole.append(timed(ask, options.repeat))
        for name, encode in found.items():
            parts[name].append(timed(functools.partial(encode, value), options.repeat))
    request = statistics.median(whole)
    shown: list[list[object]] = [[f"the request, {len(body)} bytes", f"{1000 * request:.3f}", "100 %", "-"]]
    for name, times in parts.items():
        share = 100 * statistics.median(part / total for part, total in zip(times, whole, strict=True))
        same = "yes" if found[name](value) == body else "no"
        shown.append([name, f"{1000 * statistics.median(times):.3f}", f"{share:.1f} %", same])
    return shown


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.encoders", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--devices", type=int, default=100, help="in the list (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=20, help="in each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="to take the median of (default: %(default)s)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="cyborg-bench-") as name:
        serve = application(Path(name), options.devices)
        for version in VERSIONS:
            print(f"{options.devices} devices, version {version}")
            print(figures.table(["", "CPU ms", "share", "same bytes"], rows(serve, version, options)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
