# SPDX-License-Identifier: Apache-2.0
"""Every world that two conductors, two agents, three requests and some faults can lead to, and what must hold in each.

    result = explore(Bounds(hosts=(HostKind(2, made=True), HostKind(1, made=False)), faults=1))
    result.trouble                  # None, or what is wrong and how the world came to that

By faults first and then breadth first, so what is found wrong comes with as few faults as it takes, in few steps. See
`explorer_world` for what a world is, `explorer_steps` for what can happen, and `explorer_checks` for what must hold.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from cyborg.domain.arq import TRANSITIONS, State
from cyborg.tests.unit.domain import explorer_checks as checks
from cyborg.tests.unit.domain.explorer_agents import Step
from cyborg.tests.unit.domain.explorer_fold import folded
from cyborg.tests.unit.domain.explorer_steps import Bounds, Steps, Table
from cyborg.tests.unit.domain.explorer_values import Wrong
from cyborg.tests.unit.domain.explorer_world import World

Edge = tuple[State, State]


@dataclass(slots=True, kw_only=True)
class Result:
    """``asked`` are the edges whose presence in the table it depended on, ``observed`` those that requests took."""

    worlds: int = 0
    steps: int = 0
    asked: set[Edge] = field(default_factory=set)
    observed: set[Edge] = field(default_factory=set)
    trouble: str | None = None


class Met(NamedTuple):
    """How a world was met first."""

    label: str
    before: World | None


def explore(bounds: Bounds, table: Table = TRANSITIONS, rules: type[Steps] = Steps) -> Result:
    """Ends at the first thing that is wrong. ``rules`` is how everybody behaves."""
    exploration = _Exploration(bounds, table, rules)
    try:
        exploration.run()
    except Wrong as exc:
        exploration.result.trouble = "\n    ".join([str(exc), *exploration.way()])
    return exploration.result


def edges(table: Table) -> set[Edge]:
    return {(state, after) for state in table for after in table[state]}


def flipped(table: Table, edge: Edge) -> Table:
    """With that edge if it is missing, without it if it is there."""
    state, after = edge
    return {**table, state: table[state] ^ {after}}


class _Exploration:
    def __init__(self, bounds: Bounds, table: Table, rules: type[Steps]) -> None:
        self.result = Result()
        self._bounds = bounds
        self._table = table
        self._steps = rules(bounds, self._allows, self._write)
        self._met: dict[World, Met] = {}
        self._helping: dict[World, list[World]] = {}
        self._at = self._steps.first()

    def run(self) -> None:
        waiting: dict[int, list[tuple[World, Met]]] = defaultdict(list, {0: [(self._at, Met("", None))]})
        for faults in range(self._bounds.faults + 1):
            fresh = []
            for world, met in waiting.pop(faults, []):
                if self._met.setdefault(world, met) is met:
                    fresh.append(world)
            for world in fresh:
                for after, step in self._look_at(world, self._bounds.faults - faults):
                    if after in self._met:
                        continue
                    if step.cost:
                        waiting[faults + step.cost].append((after, Met(step.label, world)))
                    else:
                        self._met[after] = Met(step.label, world)
                        fresh.append(after)
        self.result.worlds = len(self._met)
        self._check_ends()

    def way(self) -> list[str]:
        """To the world that was looked at last."""
        found: list[str] = []
        world: World | None = self._at
        while world is not None and world in self._met:
            label, world = self._met[world]
            found.append(label)
        return [f"{number} {label}" for number, label in enumerate(reversed(found)) if label]

    def _look_at(self, world: World, faults_left: int) -> Iterable[tuple[World, Step]]:
        self._at = world
        checks.check(world, self._bounds.hosts)
        steps = [(folded(step.world), step) for step in self._steps.after(world) if step.cost <= faults_left]
        self.result.steps += len(steps)
        self._helping[world] = [after for after, step in steps if step.helps]
        return steps

    def _check_ends(self) -> None:
        """Whoever is alive and hears of everything comes to rest, whatever happened before, and in whatever order."""
        left = dict.fromkeys(self._helping, 0)
        for following in self._helping.values():
            for world in following:
                left[world] += 1
        done = [world for world, count in left.items() if not count]
        for self._at in done:
            if not self._helping[self._at]:
                checks.check_rest(self._at)
            for world in self._helping[self._at]:
                left[world] -= 1
                if not left[world]:
                    done.append(world)
        if len(done) != len(left):
            self._at = next(world for world, count in left.items() if count)
            raise Wrong("this goes on for ever, though nothing fails")

    def _allows(self, state: State, after: State) -> bool:
        self.result.asked.add((state, after))
        return after in self._table[state]

    def _write(self, state: State, after: State) -> None:
        self.result.observed.add((state, after))
