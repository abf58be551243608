# SPDX-License-Identifier: Apache-2.0
"""The accelerator request (ARQ): one request for one accelerator, with a state.

    Initial ──> BindStarted ──> Bound ──> Unbound ──> (bound again, or deleted)
                     └───────> BindFailed ───┘

A bind without host work goes from Initial to Bound in one transaction; BindStarted is seen only while an
agent works. When that fails before the caller was answered, the request is again what it was. The transition table
below is the only place that knows what may follow what; to delete a request is no transition, it is possible in any
state. The values that have no edge are part of the wire, and no request of ours is ever in them.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cyborg.domain import profile, report


class State(StrEnum):
    INITIAL = "Initial"
    BIND_STARTED = "BindStarted"
    BOUND = "Bound"
    BIND_FAILED = "BindFailed"
    UNBOUND = "Unbound"
    UNBIND_FAILED = "UnbindFailed"
    DELETING = "Deleting"


#: From each state, the states that may follow it.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.INITIAL: frozenset({State.BIND_STARTED, State.BOUND, State.UNBOUND}),
    State.BIND_STARTED: frozenset({State.BOUND, State.BIND_FAILED, State.INITIAL, State.UNBOUND}),
    State.BOUND: frozenset({State.UNBOUND}),
    State.BIND_FAILED: frozenset({State.UNBOUND}),
    State.UNBOUND: frozenset({State.BIND_STARTED, State.BOUND, State.UNBOUND}),
    State.UNBIND_FAILED: frozenset(),
    State.DELETING: frozenset(),
}

#: What Nova waits for: these states no longer change by themselves.
RESOLVED = frozenset({State.BOUND, State.BIND_FAILED, State.DELETING})

#: States in which a request has an accelerator, and no other one does.
HOLDING = frozenset({State.BOUND, State.BIND_STARTED})

#: States in which a request may be bound.
BINDABLE = frozenset(state for state, following in TRANSITIONS.items() if State.BOUND in following) - {
    State.BIND_STARTED
}


def may_follow(state: State, following: State) -> bool:
    return following in TRANSITIONS[state]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a caller asks: this request, on that host, for that instance.

    ``project_id`` makes it that project's; None leaves it its owner's.
    """

    arq_uuid: str
    hostname: str
    device_rp_uuid: str
    instance_uuid: str
    project_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachHandle:
    """How the hypervisor attaches the accelerator that a request holds."""

    uuid: str
    type: report.HandleType
    info: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arq:
    """``group`` is a copy: the profile may change or go while the request lives.

    Timestamps are ISO 8601 text with an offset. ``fault`` says why binding failed. ``entered`` says when it last came
    to each state in which it has been.
    """

    uuid: str
    project_id: str | None
    state: State
    profile_name: str
    group_id: int
    group: profile.Group
    hostname: str | None = None
    device_rp_uuid: str | None = None
    instance_uuid: str | None = None
    fault: str | None = None
    attach_handle: AttachHandle | None = None
    created_at: str | None = None
    updated_at: str | None = None
    entered: Mapping[State, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """What a request was before its bind began."""

    state: State
    project_id: str | None


def former(request: Arq) -> Former:
    return Former(state=request.state, project_id=request.project_id)


def bound(request: Arq, binding: Binding, state: State) -> Arq:
    """With that binding, in a state of `HOLDING`."""
    return dataclasses.replace(
        request,
        state=state,
        fault=None,
        hostname=binding.hostname,
        device_rp_uuid=binding.device_rp_uuid,
        instance_uuid=binding.instance_uuid,
        project_id=request.project_id if binding.project_id is None else binding.project_id,
    )


def moved(request: Arq, state: State, fault: str | None = None) -> Arq:
    """In another state of the same binding."""
    return dataclasses.replace(request, state=state, fault=fault)


def unbound(request: Arq) -> Arq:
    return dataclasses.replace(
        request, state=State.UNBOUND, fault=None, hostname=None, device_rp_uuid=None, instance_uuid=None
    )


def undone(request: Arq, before: Former) -> Arq:
    """As if its bind had not begun."""
    return dataclasses.replace(unbound(request), state=before.state, project_id=before.project_id)
