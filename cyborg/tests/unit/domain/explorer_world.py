# SPDX-License-Identifier: Apache-2.0
"""The world that `explorer` looks at, as one small value: requests, units, operations, and all that is under way.

    requests that hold something stand at their unit, as ``holder``; the others are only counted, by state
    what is known of an operation stands in one place: its row, the conductors at work on it, messages, agent's journal

So nothing has a name but hosts, their units and the operations; see `explorer_fold` for which of them is which.
"""

from typing import NamedTuple

from cyborg.domain import flow
from cyborg.domain.arq import State
from cyborg.domain.host_work import Step

#: Operations and servers that are none.
NONE = -1
#: In the place of the conductor that waits for an answer: it does not any more.
NO_SENDER = -1

Call = tuple[Step, int]


class Holder(NamedTuple):
    """A request at its unit. ``former`` is what it was before its bind; requests of one server have its number."""

    state: State
    former: State
    server: int


class Unit(NamedTuple):
    """``holder``, ``work``, ``attached`` and ``quarantine`` are what the books say; the rest is true.

    ``made``: something was made for a request and is there. ``dirty``: a guest had it since it was cleaned.
    """

    holder: Holder | None = None
    work: int = NONE
    attached: bool = False
    quarantine: bool = False
    made: bool = False
    dirty: bool = False


class Host(NamedTuple):
    units: tuple[Unit, ...]
    up: bool = True


class Hand(NamedTuple):
    """A conductor at work on an operation; several are several conductors.

    ``calls`` are still to be answered, and the first has been sent; none are left when all went well. ``owns``: it has
    the lease. ``caller``: somebody waits for what becomes of it.
    """

    calls: tuple[Call, ...]
    owns: bool = True
    caller: bool = False
    refused: bool = False


class Message(NamedTuple):
    """On its way to the agent; ``sender`` is which of the hands waits for the answer."""

    call: Call
    sender: int


class Op(NamedTuple):
    """A piece of work, and all that is known of it anywhere. ``row``: it is to be done, and not given up or finished.

    ``done`` and ``ended`` is what its agent has in its journal. ``refusals``: how often it could not be done.
    """

    kind: flow.Kind
    host: int
    steps: tuple[Step, ...] = ()
    ends: int = NONE
    refusals: int = 0
    row: bool = True
    hands: tuple[Hand, ...] = ()
    wire: frozenset[Message] = frozenset()
    done: frozenset[Call] = frozenset()
    ended: frozenset[int] = frozenset()

    @property
    def is_alive(self) -> bool:
        return bool(self.row or self.hands or self.wire)


class World(NamedTuple):
    """``idle`` are the states of requests that hold nothing; ``untold`` are outcomes that Nova is still to hear of."""

    idle: tuple[State, ...]
    hosts: tuple[Host, ...]
    ops: tuple[Op, ...] = ()
    untold: int = 0


# Small changes.


def answered(world: World, number: int, message: Message, *, ok: bool) -> World:
    """The answer is at once with who waits for it."""
    op = world.ops[number]
    if message.sender == NO_SENDER:
        return world
    hand = op.hands[message.sender]
    if hand.refused or hand.calls[:1] != (message.call,):
        return world
    if not ok:
        return with_op(world, number, with_hand(op, message.sender, hand._replace(refused=True)))
    op = with_hand(op, message.sender, hand._replace(calls=hand.calls[1:]))
    return with_op(world, number, asking(op, message.sender))


def asking(op: Op, place: int) -> Op:
    calls = op.hands[place].calls
    return op._replace(wire=op.wire | {Message(calls[0], place)}) if calls else op


def unsent(op: Op, place: int) -> Op:
    return dropped(op._replace(wire=frozenset(one for one in op.wire if one.sender != place)), place)


def without(states: tuple[State, ...], state: State) -> tuple[State, ...]:
    place = states.index(state)
    return (*states[:place], *states[place + 1 :])


def with_op(world: World, number: int, op: Op) -> World:
    return world._replace(ops=(*world.ops[:number], op, *world.ops[number + 1 :]))


def with_hand(op: Op, place: int, hand: Hand) -> Op:
    return op._replace(hands=(*op.hands[:place], hand, *op.hands[place + 1 :]))


def with_host(world: World, number: int, host: Host) -> World:
    return world._replace(hosts=(*world.hosts[:number], host, *world.hosts[number + 1 :]))


def dropped(op: Op, place: int) -> Op:
    """Without one of the hands; nobody waits for the answer to what it has asked."""
    wire = orphaned(op.wire, place)
    moved = frozenset(one._replace(sender=one.sender - 1) if one.sender > place else one for one in wire)
    return op._replace(hands=(*op.hands[:place], *op.hands[place + 1 :]), wire=moved)


def orphaned(wire: frozenset[Message], place: int) -> frozenset[Message]:
    return frozenset(one._replace(sender=NO_SENDER) if one.sender == place else one for one in wire)
