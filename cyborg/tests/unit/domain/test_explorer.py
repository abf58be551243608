# SPDX-License-Identifier: Apache-2.0
"""Whatever is lost, doubled, late or dead: no unit has two holders or an unclean past, and nothing stays undone.

Bigger worlds with more faults: `python -m bench.explore`.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from cyborg.domain import flow
from cyborg.domain.arq import TRANSITIONS, State
from cyborg.tests.unit.domain.explorer import Edge, Result, edges, explore, flipped
from cyborg.tests.unit.domain.explorer_agents import Step
from cyborg.tests.unit.domain.explorer_steps import Bounds, Steps
from cyborg.tests.unit.domain.explorer_values import HostKind
from cyborg.tests.unit.domain.explorer_world import NONE, Message, Op, Unit, World

TO_MAKE, AT_ONCE = HostKind(1, made=True), HostKind(1, made=False)
#: Two agents; nobody binds while there is still work.
CALM = Bounds(hosts=(TO_MAKE, AT_ONCE), faults=1, operations=1)
#: Binds come while messages of earlier work are still under way.
BUSY = Bounds(hosts=(TO_MAKE,), faults=1, operations=2)
#: As little as takes every transition.
FEW = Bounds(hosts=(TO_MAKE, AT_ONCE), requests=1, faults=1, operations=1)
#: Two requests of one server, on one card.
PAIR = Bounds(hosts=(HostKind(2, made=True),), faults=0, operations=1)


@pytest.fixture(scope="module")
def few() -> Result:
    return explore(FEW)


def test_nothing_is_wrong_in_any_world_and_every_transition_is_taken() -> None:
    calm = explore(CALM)
    assert calm.trouble is None
    assert calm.observed == edges(TRANSITIONS)
    assert calm.worlds > 10_000


@pytest.mark.parametrize("bounds", [BUSY, PAIR], ids=["late messages", "two requests of a server"])
def test_nothing_is_wrong_either_with(bounds: Bounds) -> None:
    assert explore(bounds).trouble is None


@pytest.mark.parametrize("edge", list(itertools.product(State, State)), ids=" to ".join)
def test_one_transition_more_or_less_is_noticed(few: Result, edge: Edge) -> None:
    """An exploration that never asked for the edge would be the same with it, and the edge unused."""
    table = flipped(TRANSITIONS, edge)
    if edge in few.asked:
        result = explore(FEW, table)
        assert result.trouble is not None or result.observed != edges(table)
    else:
        assert few.trouble is None
        assert few.observed == edges(table) - {edge}


def test_without_a_fault_no_bind_fails() -> None:
    result = explore(Bounds(hosts=(TO_MAKE, AT_ONCE), faults=0, operations=2))
    assert result.trouble is None
    failures = {(State.BIND_STARTED, State.INITIAL), (State.BIND_STARTED, State.BIND_FAILED)}
    assert edges(TRANSITIONS) - result.observed == failures | {(State.BIND_FAILED, State.UNBOUND)}


class WorkIsNotRecorded(Steps):
    def _begun(self, units: tuple[Unit, ...], number: int, op: Op, *, caller: bool = False) -> Op:
        return op._replace(row=False)


class AgentDoesNotFence(Steps):
    """It is not told, or forgets at once, which operation a later one ends."""

    def _deliveries(self, world: World, number: int, message: Message, name: str) -> Iterator[Step]:
        return super()._deliveries(_with(world, number, ends=NONE), number, message, name)


class AgentHasNoJournal(Steps):
    def _deliveries(self, world: World, number: int, message: Message, name: str) -> Iterator[Step]:
        for step in super()._deliveries(world, number, message, name):
            yield step._replace(world=_with(step.world, number, done=frozenset()))


class NothingIsReleased(Steps):
    def _begun(self, units: tuple[Unit, ...], number: int, op: Op, *, caller: bool = False) -> Op:
        return super()._begun(units, number, op._replace(steps=op.steps[:1]), caller=caller)


class NobodyTakesOver(Steps):
    """What a dead conductor left is nobody's."""

    def _taken(self, world: World, number: int, op: Op) -> World:
        return world


class BooksAreClosedBeforeTheHostAnswers(Steps):
    def _begun(self, units: tuple[Unit, ...], number: int, op: Op, *, caller: bool = False) -> Op:
        begun = super()._begun(units, number, op, caller=caller)
        if op.kind is flow.Kind.PREPARE:
            return begun
        return begun._replace(hands=tuple(hand._replace(calls=()) for hand in begun.hands))


def _with(world: World, number: int, **changes: Any) -> World:
    op = world.ops[number]._replace(**changes)
    return world._replace(ops=(*world.ops[:number], op, *world.ops[number + 1 :]))


@pytest.mark.parametrize(
    ("rules", "trouble"),
    [
        (WorkIsNotRecorded, "waits for an operation that there is not"),
        (AgentDoesNotFence, "is free, and something of its former holder is there"),
        (AgentHasNoJournal, "release of 1 is done at unit 0, which BindStarted holds"),
        (NothingIsReleased, "is free, and something of its former holder is there"),
        (NobodyTakesOver, "goes on for ever"),
        (BooksAreClosedBeforeTheHostAnswers, "is free, and something of its former holder is there"),
    ],
)
def test_a_defect_is_found_with_the_way_to_it(rules: type[Steps], trouble: str) -> None:
    found = explore(BUSY, rules=rules).trouble
    assert found is not None
    assert trouble in found
    assert "1 bind" in found
