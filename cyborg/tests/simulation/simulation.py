# SPDX-License-Identifier: Apache-2.0
"""Random histories of a cloud, with a check after every step.

    result = simulate(directory, Options(shape=Shape(layout=Layout.NESTED), steps=1000, seed=7))
    result.failed                    # boots that passed scheduling and failed at their bind, by profile

A step is so many boots at once, a delete, a card that goes, comes back, fails or is repaired, a report, or a device or
host that is disabled or enabled. Boots at once are the worst case: all of them have claimed before the first one binds.

Where nova-compute manages the providers, it is restarted, reads its provider anew, and writes it because of something
of its own, after which everything it shows may be used until the agent has looked; and agents are restarted.

The same options make the same history.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cyborg.domain.shape import Shape
from cyborg.tests.nova_compute import NovaCompute
from cyborg.tests.simulation import cloud as clouds
from cyborg.tests.simulation import invariants, servers
from cyborg.tests.simulation.hardware import Machine
from cyborg.tests.simulation.servers import Nova, Server

#: Above this share of units held, more servers go than come.
CROWDED = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The whole cloud is checked after so many steps, after the last one and when all have gone."""

    shape: Shape
    hosts: int = 50
    steps: int = 10_000
    concurrent: int = 1
    seed: int = 1
    full_check_every: int = 500
    nova_managed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    outcomes: Counter[str]
    failed: Counter[str]


class Simulation:
    def __init__(self, cloud: clouds.Cloud, options: Options, chance: random.Random) -> None:
        self._cloud = cloud
        self._chance = chance
        self._concurrent = options.concurrent
        self.nova = Nova(cloud, chance, servers.for_shape(options.shape))
        self._units = sum(len(list(cloud.host(name).units())) for name in cloud.agents)
        self._disabled: list[tuple[str, str]] = []
        self._steps: dict[Callable[[], list[str]], int] = {
            self._boot: 50,
            self._delete: 30,
            self._report: 12,
            self._switch_device: 5,
            self._switch_host: 1,
        }
        if options.nova_managed:
            self._steps |= {self._restart_nova: 4, self._refresh_nova: 4, self._resize_nova: 4, self._restart_agent: 2}

    def step(self) -> None:
        (work,) = self._chance.choices(list(self._steps), weights=list(self._steps.values()))
        if work == self._boot and self._is_crowded():
            work = self._delete
        for name in sorted(set(work())):
            invariants.check_host(self._cloud, self.nova, name)

    def check(self) -> None:
        invariants.check_everything(self._cloud, self.nova)

    def empty(self) -> None:
        """Everybody goes and everything is mended; then all is free and offered."""
        left = {self.nova.delete(uuid).hostname for uuid in list(self.nova.servers)}
        for name in sorted(left):
            self._cloud.agents[name].catch_up()
        self.check()

    def _is_crowded(self) -> bool:
        held = sum(len(server.requests) for server in self.nova.servers.values())
        return held > CROWDED * self._units

    def _boot(self) -> list[str]:
        wanted = [self._chance.choice(sorted(self.nova.groups)) for _ in range(self._concurrent)]
        claimed = [server for server in map(self.nova.schedule, wanted) if server is not None]
        self._chance.shuffle(claimed)
        for server in claimed:
            self._finish(server)
        return [server.hostname for server in claimed]

    def _finish(self, server: Server) -> None:
        if self.nova.finish(server):
            self._cloud.agents[server.hostname].catch_up()

    def _delete(self) -> list[str]:
        if not self.nova.servers:
            return []
        gone = self.nova.delete(self._chance.choice(sorted(self.nova.servers)))
        self._cloud.agents[gone.hostname].catch_up()
        return [gone.hostname]

    def _report(self) -> list[str]:
        name = self._chance.choice(sorted(self._cloud.agents))
        agent = self._cloud.agents[name]
        if self._chance.random() < 0.3:
            agent.machine.flap(self._chance)
        elif self._chance.random() < 0.2:
            agent.machine.mend()
        agent.report()
        self.nova.outcomes["reports"] += 1
        return [name]

    def _switch_device(self) -> list[str]:
        """Disable one, or enable the one that has been disabled for longest."""
        if len(self._disabled) > len(self._cloud.agents) // 10:
            return self._switch(self._disabled.pop(0), "enable")
        name = self._chance.choice(sorted(self._cloud.agents))
        known = sorted(self._cloud.host(name).devices, key=lambda device: device.address)
        if not known:
            return []
        self._disabled.append((name, f"/devices/{self._chance.choice(known).uuid}"))
        return self._switch(self._disabled[-1], "disable")

    def _switch_host(self) -> list[str]:
        """Disable it, see that it holds what it held, and enable it again later, as a device."""
        name = self._chance.choice(sorted(self._cloud.agents))
        self._disabled.append((name, f"/hosts/{name}"))
        return self._switch(self._disabled[-1], "disable")

    def _restart_nova(self) -> list[str]:
        agent = self._any_agent()
        self._nova_compute(agent).start()
        agent.report()
        return [agent.machine.name]

    def _refresh_nova(self) -> list[str]:
        """Nothing of ours is touched by it, so there is nothing to repair."""
        agent = self._any_agent()
        self._nova_compute(agent).refresh()
        return [agent.machine.name]

    def _resize_nova(self) -> list[str]:
        """Boots that come before the agent are refused when they are too many, and harm nobody."""
        agent = self._any_agent()
        self._nova_compute(agent).resize(clouds.resources(clouds.CORES + self._chance.randrange(8)))
        failed = self.nova.failed.copy()
        touched = self._boot()
        self.nova.outcomes["failed before the agent looked"] += (self.nova.failed - failed).total()
        self.nova.failed = failed
        agent.report()
        return [agent.machine.name, *touched]

    def _restart_agent(self) -> list[str]:
        agent = self._any_agent()
        agent.restart()
        agent.report()
        return [agent.machine.name]

    def _any_agent(self) -> clouds.Agent:
        return self._cloud.agents[self._chance.choice(sorted(self._cloud.agents))]

    def _nova_compute(self, agent: clouds.Agent) -> NovaCompute:
        assert agent.nova is not None
        self.nova.outcomes["things that nova-compute did"] += 1
        return agent.nova

    def _switch(self, what: tuple[str, str], verb: str) -> list[str]:
        name, path = what
        answer = self._cloud.call("POST", f"{path}/{verb}", newest=path.startswith("/hosts"))
        # A device may have gone meanwhile.
        assert answer.status_code in {200, 204, 404}, answer.text
        self._cloud.agents[name].catch_up()
        self.nova.outcomes[f"{verb}d"] += 1
        return [name]


def simulate(directory: Path, options: Options) -> Result:
    """Raises AssertionError, with the number of the step, when something does not hold."""
    chance = random.Random(options.seed)
    machines = [Machine.mixed(f"host-{number}", chance) for number in range(options.hosts)]
    with clouds.running(directory, options.shape, machines, nova_managed=options.nova_managed) as cloud:
        simulation = Simulation(cloud, options, chance)
        for number in range(1, options.steps + 1):
            try:
                simulation.step()
                if number % options.full_check_every == 0 or number == options.steps:
                    simulation.check()
            except AssertionError as exc:
                exc.add_note(f"at step {number} of {options}")
                raise
        simulation.empty()
        return Result(outcomes=simulation.nova.outcomes, failed=simulation.nova.failed)
