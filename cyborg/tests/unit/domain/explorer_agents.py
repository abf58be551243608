# SPDX-License-Identifier: Apache-2.0
"""What can happen next in a world of `explorer` to messages, to agents, and at their hardware; see `explorer_steps`."""

from collections.abc import Iterator
from typing import NamedTuple

from cyborg.domain.host_work import Step as Work
from cyborg.tests.unit.domain import explorer_world as worlds
from cyborg.tests.unit.domain.explorer_values import Wrong
from cyborg.tests.unit.domain.explorer_world import NO_SENDER, NONE, Call, Message, Op, World


class Step(NamedTuple):
    label: str
    world: World
    cost: int = 0
    helps: bool = False


class AgentSteps:
    """An agent does a step of an operation once, and nothing for one that a later one ends."""

    @staticmethod
    def _agents(world: World) -> Iterator[Step]:
        for number, host in enumerate(world.hosts):
            if host.up:
                yield Step(f"agent {number} stops", worlds.with_host(world, number, host._replace(up=False)), cost=1)
            else:
                yield Step(
                    f"agent {number} starts", worlds.with_host(world, number, host._replace(up=True)), helps=True
                )

    def _messages(self, world: World, number: int, op: Op) -> Iterator[Step]:
        for message in sorted(op.wire):
            name = f"{message.call[0]} of {number} at unit {message.call[1]}"
            arrived = worlds.with_op(world, number, op._replace(wire=op.wire - {message}))
            yield Step(f"{name} is lost", arrived, cost=1)
            if world.hosts[op.host].up:
                yield from self._deliveries(arrived, number, message, name)

    def _deliveries(self, world: World, number: int, message: Message, name: str) -> Iterator[Step]:
        op = world.ops[number]
        _step, unit = message.call
        if op.ends != NONE:
            other = world.ops[op.ends]
            world = worlds.with_op(world, op.ends, other._replace(ended=other.ended | {unit}))
        op = world.ops[number]
        if unit in op.ended:
            yield Step(f"{name} is refused", worlds.answered(world, number, message, ok=False), helps=True)
            return
        known = message.call in op.done
        done = world if known else self._done(world, number, message.call)
        kept = worlds.with_op(done, number, done.ops[number]._replace(done=op.done | {message.call}))
        answered = worlds.answered(kept, number, message, ok=True)
        yield Step(f"{name} is done", answered, helps=True)
        copy = answered.ops[number]
        copy = copy._replace(wire=copy.wire | {message._replace(sender=NO_SENDER)})
        yield Step(f"{name} is done and comes again", worlds.with_op(answered, number, copy), cost=1)
        yield Step(f"{name} is done and its answer lost", kept, cost=1)
        if not known:
            yield Step(f"{name} is done and not noted", done, cost=1)
            yield Step(f"{name} fails", worlds.answered(world, number, message, ok=False), cost=1)

    @staticmethod
    def _done(world: World, number: int, call: Call) -> World:
        """What it does to the hardware. Each looks at what is there, and does what is missing."""
        step, place = call
        host = world.hosts[world.ops[number].host]
        unit = host.units[place]
        if step is not Work.PREPARE and unit.holder is not None:
            raise Wrong(f"{step} of {number} is done at unit {place}, which {unit.holder.state} holds")
        match step:
            case Work.CLEAN:
                unit = unit._replace(dirty=False)
            case Work.PREPARE | Work.RELEASE:
                unit = unit._replace(made=step is Work.PREPARE)
        units = (*host.units[:place], unit, *host.units[place + 1 :])
        return worlds.with_host(world, world.ops[number].host, host._replace(units=units))
