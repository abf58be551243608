# SPDX-License-Identifier: Apache-2.0
"""Worlds that differ only in which of several equal things is which become one, for `explorer`.

Units of a host and operations get their numbers by what they are. What can never matter again is forgotten: messages
that would change nothing, conductors that lost their lease and have nothing more to ask, and operations of which
nothing is left that could reach an agent.
"""

from collections.abc import Iterable

from cyborg.tests.unit.domain.explorer_world import NO_SENDER, NONE, Call, Host, Message, Op, Unit, World, dropped


def folded(world: World) -> World:
    hosts, ops = list(world.hosts), [_lean(op, world.ops) for op in world.ops]
    for number, host in enumerate(world.hosts):
        if len(host.units) > 1:
            hosts[number], ops = _units_in_order(number, host, ops)
    owned = [unit.work for host in hosts for unit in host.units]
    alive = [number for number, op in enumerate(ops) if op.is_alive]
    if len(alive) > 1:
        alive.sort(key=lambda number: (owned.index(number) if number in owned else len(owned), _look(ops[number])))
    numbers = {number: place for place, number in enumerate(alive)}
    servers: dict[int, int] = {}
    return World(
        idle=tuple(sorted(world.idle)),
        hosts=tuple(Host(tuple(_renumbered(unit, numbers, servers) for unit in host.units), host.up) for host in hosts),
        ops=tuple(_with_ends(ops[number], numbers) for number in alive),
        untold=world.untold,
    )


def _units_in_order(number: int, host: Host, ops: list[Op]) -> tuple[Host, list[Op]]:
    order = sorted(range(len(host.units)), key=lambda unit: _unit_look(host.units[unit], ops, number, unit))
    if order == sorted(order):
        return host, ops
    places = {unit: place for place, unit in enumerate(order)}
    moved = [_moved(op, places) if op.host == number else op for op in ops]
    return host._replace(units=tuple(host.units[unit] for unit in order)), moved


def _with_ends(op: Op, numbers: dict[int, int]) -> Op:
    return op if op.ends == NONE else op._replace(ends=numbers.get(op.ends, NONE))


def _lean(op: Op, ops: tuple[Op, ...]) -> Op:
    """Without what can do nothing any more, and what only mattered for that."""
    if op.hands:
        op = _without_idlers(op)
    ended = ops[op.ends].ended if op.ends != NONE else None
    wire = frozenset(
        message
        for message in op.wire
        if message.sender != NO_SENDER
        or (
            (ended is None or message.call[1] in ended) and not (message.call in op.done or message.call[1] in op.ended)
        )
    )
    done = op.done
    if not op.row:
        done &= {message.call for message in wire} | {call for hand in op.hands for call in hand.calls}
    return op if (wire, done) == (op.wire, op.done) else op._replace(wire=wire, done=done)


def _without_idlers(op: Op) -> Op:
    """A conductor that has all answers, and has not the lease, finds that out and leaves everything as it is."""
    for place in reversed(range(len(op.hands))):
        hand = op.hands[place]
        if (hand.refused or not hand.calls) and not (hand.owns and op.row):
            op = dropped(op, place)
    return op


def _look(op: Op) -> tuple[object, ...]:
    """Of the operation, without the numbers of others; in an order that can be compared."""
    return (
        op.kind,
        op.host,
        op.steps,
        op.ends != NONE,
        op.refusals,
        op.row,
        op.hands,
        sorted(op.wire),
        sorted(op.done),
        sorted(op.ended),
    )


def _unit_look(unit: Unit, ops: list[Op], host: int, number: int) -> tuple[object, ...]:
    seen = sorted(_seen_from(op, number) for op in ops if op.host == host)
    work = () if unit.work == NONE else _seen_from(ops[unit.work], number)
    return (unit.holder is not None, unit.holder or (), unit.work != NONE, work, *unit[2:], seen)


def _seen_from(op: Op, number: int) -> tuple[object, ...]:
    """The operation as it concerns one unit."""
    return (
        op.kind,
        op.row,
        op.refusals,
        [[step for step, unit in hand.calls if unit == number] for hand in op.hands],
        sorted(message.call[0] for message in op.wire if message.call[1] == number),
        sorted(step for step, unit in op.done if unit == number),
        number in op.ended,
    )


def _moved(op: Op, places: dict[int, int]) -> Op:
    """With other numbers for the units."""

    def calls(found: Iterable[Call]) -> Iterable[Call]:
        return ((step, places[unit]) for step, unit in found)

    return op._replace(
        hands=tuple(hand._replace(calls=tuple(calls(hand.calls))) for hand in op.hands),
        wire=frozenset(Message((one.call[0], places[one.call[1]]), one.sender) for one in op.wire),
        done=frozenset(calls(op.done)),
        ended=frozenset(places[unit] for unit in op.ended),
    )


def _renumbered(unit: Unit, numbers: dict[int, int], servers: dict[int, int]) -> Unit:
    holder = unit.holder
    if holder is not None:
        holder = holder._replace(server=servers.setdefault(holder.server, len(servers)))
    return unit._replace(holder=holder, work=numbers.get(unit.work, NONE))
