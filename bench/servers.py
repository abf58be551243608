# SPDX-License-Identifier: Apache-2.0
"""The API behind several WSGI servers, measured: cyborg-api (which is cheroot), waitress, gunicorn, uWSGI, mod_wsgi.

    python -m bench.servers --devices 100 --clients 4

Each runs as one process with the same number of threads, over one SQLite database. All run at the same time, and
clients send a burst to one after the other, in another order each round: what else the machine does hits all alike.
Whatever is not installed is left out with a line. A ratio is the median of the rounds, each against cyborg-api.
On a machine that others use too, trust the CPU time, which is that of the server and its children for one request.

"healthcheck" is the server and some middleware, the others are the whole service.
"""

import argparse
import contextlib
import http.client
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import figures
from cyborg.tests.functional import wsgi_servers
from cyborg.tests.functional.client import Client, Unexpected


@dataclass(slots=True, kw_only=True)
class Bursts:
    """What one server did for one question: each request's time, requests per second and CPU time by round."""

    times: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    url: str
    pid: int

    @property
    def cpu(self) -> float:
        """Seconds so far, of the process and its children: all that belongs to its session."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.pid:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(devices: int, threads: int) -> Iterator[Mapping[str, Started]]:
    """By the server's name; all of them serve the same."""
    with tempfile.TemporaryDirectory(prefix="cyborg-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        configuration = wsgi_servers.configure(directory, devices=devices)
        started = {}
        for server in wsgi_servers.SERVERS:
            if reason := server.missing():
                print(f"{server.name}: left out, {reason}")
                continue
            url, process = stack.enter_context(server.run(directory, configuration, threads=threads))
            started[server.name] = Started(url=url, pid=process.pid)
        yield started


def questions(url: str, devices: int) -> dict[str, str]:
    """Paths by what they are called."""
    with Client(url) as client:
        request = client.list("accelerator_requests")[0]["uuid"]
    return {
        "healthcheck": "/healthcheck",
        "one request": f"/v2/accelerator_requests/{request}",
        f"{devices} devices": "/v2/devices",
    }


def burst(url: str, path: str, *, requests: int, clients: int) -> tuple[list[float], float]:
    """The times of all requests, over one kept connection for each client, and how long all took together."""
    times: list[float] = []
    failures: list[Exception] = []
    begin = threading.Barrier(clients + 1)

    def work() -> None:
        try:
            with Client(url) as client:
                begin.wait()
                for _ in range(requests // clients):
                    started = time.perf_counter()
                    client.call("GET", path).expect(200)
                    times.append(time.perf_counter() - started)
        except (Unexpected, OSError, http.client.HTTPException) as exc:
            failures.append(exc)
            begin.abort()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    with contextlib.suppress(threading.BrokenBarrierError):  # a client says why
        begin.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return times, time.perf_counter() - started


def measure(servers: Mapping[str, Started], path: str, options: argparse.Namespace) -> dict[str, Bursts]:
    measured: dict[str, Bursts] = defaultdict(Bursts)
    names = list(servers)
    for number in range(options.rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            before = servers[name].cpu
            times, seconds = burst(servers[name].url, path, requests=options.requests, clients=options.clients)
            measured[name].times += times
            measured[name].rates.append(len(times) / seconds)
            measured[name].cpu.append((servers[name].cpu - before) / len(times))
    return measured


def row(bursts: Bursts, ours: Bursts) -> list[object]:
    ratios = [rate / our_rate for rate, our_rate in zip(bursts.rates, ours.rates, strict=True)]
    cpu, our_cpu = statistics.fmean(bursts.cpu), statistics.fmean(ours.cpu)
    return [
        statistics.median(bursts.rates),
        figures.percentile(bursts.times, 0.5),
        figures.percentile(bursts.times, 0.99),
        f"{statistics.median(ratios):.2f}",
        f"{1000 * cpu:.2f}",
        f"{cpu / our_cpu:.2f}",
    ]


def show(options: argparse.Namespace) -> None:
    with running(options.devices, options.threads) as servers:
        print(f"{options.clients} clients, {options.threads} threads, {options.rounds} x {options.requests} requests")
        columns = ["server", "requests/s", "p50 ms", "p99 ms", "ratio", "CPU ms", "CPU ratio"]
        for title, path in questions(servers[wsgi_servers.OURS].url, options.devices).items():
            measured = measure(servers, path, options)
            ours = measured[wsgi_servers.OURS]
            rows = [[name, *row(measured[name], ours)] for name in servers]
            print(f"\n{title}\n{figures.table(columns, rows)}", flush=True)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.servers", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--devices", type=int, default=100, help="in the list (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=8, help="of each server (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=4, help="that ask at once (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=100, help="of all clients in a burst (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=12, help="bursts for each server (default: %(default)s)")
    options = parser.parse_args(argv)
    if not 1 <= options.clients <= min(options.requests, options.threads):
        parser.error("--clients must be at least 1, and --requests and --threads at least as many")
    return options


def main(argv: Sequence[str]) -> int:
    try:
        show(parse(argv))
    except (Unexpected, OSError, http.client.HTTPException) as exc:
        print(f"bench.servers: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
