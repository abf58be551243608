# SPDX-License-Identifier: Apache-2.0
"""A host knows of each of its holders whether its allocation counts the kind: its request says so."""

import pytest

from cyborg.domain import profile
from cyborg.store import hosts
from cyborg.store.engine import Store
from cyborg.tests.unit.store import builders


@pytest.mark.parametrize("counted", [True, False])
def test_the_holders_request_tells_whether_it_is_counted_by_kind(store: Store, *, counted: bool) -> None:
    resources = {"CUSTOM_ACCELERATOR": 1} | ({"CUSTOM_ACCELERATOR_GPU": 1} if counted else {})
    (request,) = builders.requests(store, group=profile.Group(resources=resources))
    before = builders.apply(store, builders.seen(builders.card()))
    ((_, _, unit),) = before.units()
    with store.transaction() as tx:
        locked = hosts.load(tx, builders.HOST)
        assert locked is not None
        hosts.save(tx, locked, builders.hold(locked, {unit.uuid: request.uuid}))
    ((_, _, held),) = builders.stored(store).units()
    assert (held.holder, held.counted) == (request.uuid, counted)
