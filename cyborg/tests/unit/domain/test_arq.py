# SPDX-License-Identifier: Apache-2.0
"""The states of a request, pair by pair."""

import itertools

import pytest

from cyborg.domain.arq import BINDABLE, HOLDING, RESOLVED, TRANSITIONS, State, may_follow

ALLOWED = {
    (State.INITIAL, State.BIND_STARTED),
    (State.INITIAL, State.BOUND),
    (State.INITIAL, State.UNBOUND),
    (State.BIND_STARTED, State.BOUND),
    (State.BIND_STARTED, State.BIND_FAILED),
    (State.BIND_STARTED, State.INITIAL),
    (State.BIND_STARTED, State.UNBOUND),
    (State.BOUND, State.UNBOUND),
    (State.BIND_FAILED, State.UNBOUND),
    (State.UNBOUND, State.BIND_STARTED),
    (State.UNBOUND, State.BOUND),
    (State.UNBOUND, State.UNBOUND),
}
#: Values of the wire that no request of ours has.
NEVER = {State.UNBIND_FAILED, State.DELETING}


@pytest.mark.parametrize(("state", "following"), list(itertools.product(State, State)))
def test_exactly_the_drawn_transitions_are_allowed(state: State, following: State) -> None:
    assert may_follow(state, following) == ((state, following) in ALLOWED)


def test_every_state_that_a_request_is_ever_in_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {state for state, following in TRANSITIONS.items() if not following} == NEVER
    assert set().union(*TRANSITIONS.values()) == set(State) - NEVER


def test_a_request_can_be_bound_when_new_or_given_back() -> None:
    assert {State.INITIAL, State.UNBOUND} == BINDABLE
    assert {State.BOUND, State.BIND_FAILED, State.DELETING} == RESOLVED
    assert {State.BOUND, State.BIND_STARTED} == HOLDING
