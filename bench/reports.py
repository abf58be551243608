# SPDX-License-Identifier: Apache-2.0
"""What agents cost the rest of the cloud: first reports, and reports in which nothing changed.

    python -m bench.reports --hosts 100 --cards 8

So many agents, each with a host of its own, report one after the other to a real conductor over in-process messaging,
on SQLite, and publish to a real Placement. Time is that of the whole round of an agent, its scan included; CPU time
that of all parts, Placement too.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import figures
from cyborg.agent.service import Agent
from cyborg.drivers import recorded
from cyborg.placement.client import PlacementClient
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.tests.functional import standalone


@contextmanager
def agents(hosts: int, cards: int) -> Iterator[tuple[standalone.Running, list[Agent]]]:
    """A service, and agents that wait for `run_once`; each has its provider in Placement."""
    with tempfile.TemporaryDirectory(prefix="cyborg-bench-") as name:
        directory = Path(name)
        recording = standalone.gpu_host(directory / "host.yaml", cards=cards)
        with standalone.in_process(directory, {"first": recording}) as running:
            placement = PlacementClient.from_conf(running.conf)
            transport = messaging.get_transport(running.conf)
            made = []
            for number in range(hosts):
                placement.post("/resource_providers", {"name": f"host-{number}"})
                host = recorded.materialise(recording, directory / f"host-{number}")
                made.append(Agent(running.conf, transport, host_name=f"host-{number}", host=host))
            yield running, made


def measure(running: standalone.Running, reporting: Sequence[Agent], work: Callable[[Agent], object]) -> list[object]:
    """``work`` for each agent: median and worst time, CPU time, statements and Placement requests of one."""
    times = []
    statements, requests = running.service.store.statements, sum(agent.placement.requests for agent in reporting)
    cpu = time.process_time()
    for agent in reporting:
        started = time.perf_counter()
        work(agent)
        times.append(time.perf_counter() - started)
    hosts = len(reporting)
    return [
        figures.percentile(times, 0.5),
        figures.percentile(times, 0.99),
        1000 * (time.process_time() - cpu) / hosts,
        (running.service.store.statements - statements) / hosts,
        (sum(agent.placement.requests for agent in reporting) - requests) / hosts,
    ]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.reports", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hosts", type=int, default=100, help="that report (default: %(default)s)")
    parser.add_argument("--cards", type=int, default=8, help="of each host (default: %(default)s)")
    options = parser.parse_args(argv)
    with agents(options.hosts, options.cards) as (running, reporting):
        conductor = ConductorClient(running.conf, messaging.get_transport(running.conf))

        def whole_round(agent: Agent) -> None:
            agent.reporter.run_once()

        def call_only(agent: Agent) -> None:
            known = agent.reporter.publication
            # A driver that could not look costs what one costs that saw nothing new.
            conductor.sync(agent.host_name, known.provider_uuid, {standalone.GPU_DRIVER: ""}, known.generation)

        rows = [[f"first report, {options.cards} devices", *measure(running, reporting, whole_round)]]
        measure(running, reporting, whole_round)  # each agent learns what Placement shows
        rows.append(["nothing changed", *measure(running, reporting, whole_round)])
        rows.append(["of it, the call to the conductor", *measure(running, reporting, call_only)])
    print(f"{options.hosts} hosts; figures of one host")
    columns = ["round", "p50 ms", "p99 ms", "CPU ms", "SQL statements", "Placement requests"]
    print(figures.table(columns, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
