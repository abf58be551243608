# SPDX-License-Identifier: Apache-2.0
"""What can happen next in a world of `explorer`: to whom, at what cost, and what the world is then.

Users call, conductors and agents work, and things fail. A request that is deleted is made anew at once: one that is not
there can do nothing that a new one cannot. A transaction is one step, because the locks of requests and
host make it one. Deciding what becomes of units and requests is not done here, see `explorer_domain`; this is what is
around it: rows and leases, messages and answers, a journal.

A step that costs something is a fault. One that ``helps`` is what everybody does who is alive and hears of everything.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cyborg.domain import flow
from cyborg.domain.arq import State
from cyborg.domain.host_work import Step as Work
from cyborg.tests.unit.domain import explorer_domain as domain
from cyborg.tests.unit.domain import explorer_world as worlds
from cyborg.tests.unit.domain.explorer_agents import AgentSteps, Step
from cyborg.tests.unit.domain.explorer_values import Change, HostKind, Wrong
from cyborg.tests.unit.domain.explorer_world import Hand, Host, Message, Op, Unit, World

#: What the API promises: in which states a request can be bound, and unbound. It can be deleted in any.
MAY_BIND = frozenset({State.INITIAL, State.UNBOUND})
MAY_UNBIND = MAY_BIND | {State.BIND_STARTED, State.BOUND, State.BIND_FAILED}
CONDUCTORS = 2
CLEANING_ATTEMPTS = 2
#: Of a server that is new: no other one has it before worlds are folded.
NEW_SERVER = 99

Table = Mapping[State, frozenset[State]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many faults there are in one history, and with how many operations under way users still bind."""

    hosts: tuple[HostKind, ...]
    requests: int = 3
    faults: int = 1
    operations: int = 1


@dataclass(frozen=True)
class Steps(AgentSteps):
    """``allows`` says whether a state may follow another; ``wrote`` is told which one did."""

    bounds: Bounds
    allows: Callable[[State, State], bool]
    wrote: Callable[[State, State], None]

    def first(self) -> World:
        return World(
            idle=(State.INITIAL,) * self.bounds.requests,
            hosts=tuple(Host((Unit(),) * kind.units) for kind in self.bounds.hosts),
        )

    def after(self, world: World) -> Iterator[Step]:
        if world.untold:
            # It changes nothing for anybody else and can always happen, so nothing is lost when it happens first.
            yield Step("Nova is told", world._replace(untold=0), helps=True)
            return
        yield from self._users(world)
        for number, op in enumerate(world.ops):
            yield from self._conductors(world, number, op)
            yield from self._messages(world, number, op)
        yield from self._agents(world)

    # Users.

    def _users(self, world: World) -> Iterator[Step]:
        for state in sorted(set(world.idle)):
            rest = worlds.without(world.idle, state)
            self._promise(state)
            yield Step(f"delete {state}", world._replace(idle=(*rest, State.INITIAL)))
            if self.allows(state, State.UNBOUND):
                after = domain.unbind_idle(state)
                self._check_write(state, after)
                yield Step(f"unbind {state}", world._replace(idle=(*rest, after)))
        for number, host in enumerate(world.hosts):
            if len(world.ops) < self.bounds.operations:
                yield from self._binds(world, number)
            yield from self._releases(world, number)
            if any(unit.quarantine for unit in host.units):
                change = domain.clean_again(self.bounds.hosts[number], host.units, len(world.ops))
                yield Step(f"enable device of {number}", self._changed(world, number, change))

    def _promise(self, state: State) -> None:
        if self._may_bind(state) != (state in MAY_BIND):
            raise Wrong(f"a request that is {state} can be bound, or cannot, against what is promised")
        if self.allows(state, State.UNBOUND) != (state in MAY_UNBIND):
            raise Wrong(f"a request that is {state} can be unbound, or cannot, against what is promised")

    def _may_bind(self, state: State) -> bool:
        return state is not State.BIND_STARTED and self.allows(state, State.BOUND)

    def _binds(self, world: World, number: int) -> Iterator[Step]:
        ready = [state for state in world.idle if self._may_bind(state)]
        for asked in {*((one,) for one in ready), *itertools.combinations(sorted(ready), 2)}:
            change = domain.bind(
                self.bounds.hosts[number], world.hosts[number].units, asked, NEW_SERVER, len(world.ops)
            )
            if change is not None:
                rest = world.idle
                for state in asked:
                    rest = worlds.without(rest, state)
                after = self._changed(world._replace(idle=rest), number, change, caller=True)
                bound = sum(1 for _, state in change.writes if state is State.BOUND)
                yield Step(f"bind {' and '.join(asked)} on {number}", after._replace(untold=bound))

    def _releases(self, world: World, number: int) -> Iterator[Step]:
        units = world.hosts[number].units
        held = {place: unit.holder for place, unit in enumerate(units) if unit.holder is not None}
        for state in {holder.state for holder in held.values()}:
            self._promise(state)
        servers = {
            tuple(place for place, one in held.items() if one.server == holder.server) for holder in held.values()
        }
        for which in {*((place,) for place in held), *servers}:
            name = " and ".join(str(held[place].state) for place in which)
            change = domain.delete(self.bounds.hosts[number], units, which, len(world.ops))
            new = (State.INITIAL,) * len(which)
            yield Step(
                f"delete {name} of {number}", self._changed(world._replace(idle=world.idle + new), number, change)
            )
            if all(self.allows(held[place].state, State.UNBOUND) for place in which):
                change = domain.unbind(self.bounds.hosts[number], units, which, len(world.ops))
                yield Step(f"unbind {name} of {number}", self._changed(world, number, change))

    # Conductors.

    def _conductors(self, world: World, number: int, op: Op) -> Iterator[Step]:
        owned = any(hand.owns for hand in op.hands)
        if op.row and owned:
            hands = tuple(hand._replace(owns=False) for hand in op.hands)
            yield Step(f"lease of {number} runs out", worlds.with_op(world, number, op._replace(hands=hands)), cost=1)
        if op.row and not owned and len(op.hands) < CONDUCTORS:
            yield Step(f"{number} is taken", self._taken(world, number, op), helps=True)
        for place, hand in enumerate(op.hands):
            dead = worlds.dropped(op, place)
            yield Step(f"conductor of {number} dies", worlds.with_op(world, number, dead), cost=1)
            if dead.wire != worlds.unsent(op, place).wire:
                yield Step(
                    f"conductor of {number} dies before it asks",
                    worlds.with_op(world, number, worlds.unsent(op, place)),
                    cost=1,
                )
            if hand.calls and not hand.refused:
                yield from self._waits(world, number, op, place)
            elif hand.owns and op.row:
                yield Step(f"{number} ends", self._ended(world, number, op, place), helps=True)
                if hand.refused and hand.caller:
                    left = worlds.with_op(world, number, worlds.with_hand(op, place, hand._replace(caller=False)))
                    yield Step(f"{number} ends without its caller", self._ended(left, number, left.ops[number], place))

    def _waits(self, world: World, number: int, op: Op, place: int) -> Iterator[Step]:
        """Whoever does not wait for an answer that is still to come has left the same as one who died."""
        hand = op.hands[place]
        lost = Message(hand.calls[0], place) not in op.wire
        if lost or not world.hosts[op.host].up:
            yield Step(
                f"{number} waits no longer", worlds.with_op(world, number, worlds.dropped(op, place)), helps=lost
            )
        if op.kind is flow.Kind.PREPARE:
            late = op._replace(wire=worlds.orphaned(op.wire, place))
            late = worlds.with_hand(late, place, hand._replace(refused=True))
            yield Step(f"{number} is late", worlds.with_op(world, number, late), cost=1)

    def _taken(self, world: World, number: int, op: Op) -> World:
        """Looked up, and the first thing asked for; finished where nothing is the operation's any more."""
        begun = self._begun(world.hosts[op.host].units, number, op)
        return worlds.with_op(world, number, begun)

    def _begun(self, units: tuple[Unit, ...], number: int, op: Op, *, caller: bool = False) -> Op:
        mine = domain.owned(self.bounds.hosts[op.host], units, number)
        if not mine:
            return op._replace(row=False)
        steps = op.steps or (Work.PREPARE,)
        calls = tuple((step, unit) for unit in mine for step in steps)
        return worlds.asking(op._replace(hands=(*op.hands, Hand(calls, caller=caller))), len(op.hands))

    def _ended(self, world: World, number: int, op: Op, place: int) -> World:
        """One transaction."""
        hand = op.hands[place]
        rest = worlds.dropped(op, place)
        over = worlds.with_op(world, number, rest._replace(row=False))
        kind, units, new = self.bounds.hosts[op.host], world.hosts[op.host].units, len(world.ops)
        if op.kind is flow.Kind.TAKE_BACK:
            if not hand.refused:
                return self._changed(over, op.host, domain.cleaned(kind, units, number))
            if op.refusals + 1 < CLEANING_ATTEMPTS:
                return worlds.with_op(world, number, rest._replace(refusals=op.refusals + 1))
            return self._changed(over, op.host, domain.quarantined(kind, units, number))
        if hand.refused and hand.caller:
            return self._changed(over, op.host, domain.refused(kind, units, number, new))
        change = domain.failed(kind, units, number, new) if hand.refused else domain.prepared(kind, units, number)
        for before, after in change.writes:
            if not self.allows(before, after):
                raise Wrong(f"a bind has ended and its request cannot go from {before} to {after}")
        return self._changed(over, op.host, change)._replace(untold=len(change.writes))

    def _changed(self, world: World, number: int, change: Change, *, caller: bool = False) -> World:
        """The commit, and the conductor at work on what follows from it."""
        for before, after in change.writes:
            self._check_write(before, after)
        pairs = zip(world.hosts[number].units, change.units, strict=True)
        units = tuple(unit._replace(dirty=unit.dirty or _is_new_guest(old, unit)) for old, unit in pairs)
        world = worlds.with_host(world, number, world.hosts[number]._replace(units=units))
        ops = list(world.ops)
        for work in change.work:
            assert work.op == len(ops)
            op = Op(work.kind, number, work.steps, work.ends)
            ops.append(self._begun(units, work.op, op, caller=caller))
        return world._replace(ops=tuple(ops), idle=(*world.idle, *change.idle))

    def _check_write(self, before: State, after: State) -> None:
        self.wrote(before, after)
        if not self.allows(before, after):
            raise Wrong(f"a request went from {before} to {after}, which is no transition")


def _is_new_guest(old: Unit, unit: Unit) -> bool:
    return unit.holder is not None and unit.holder.state is State.BOUND and unit.holder != old.holder
