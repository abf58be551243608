# SPDX-License-Identifier: Apache-2.0
"""What each event does to a host and to its requests; the explorer beside this walks all their orders."""

import dataclasses
import itertools
from collections.abc import Callable

import pytest

from cyborg.domain import arq, choice, flow, host_work, inventory, profile, report
from cyborg.domain.inventory import AcceleratorState
from cyborg.domain.report import Capability

HOST = "host-1"
SERVER = "server"
ADDRESS = {"domain": "0000", "bus": "3b", "device": "00", "function": "1"}
PLAIN, TO_MAKE = ADDRESS, {"parent": "0000:3b:00.0", "virtual_function": "1"}
PREPARES, CLEANS = frozenset({Capability.PREPARES}), frozenset({Capability.CLEANS})
CLEAN, RELEASE = host_work.Step.CLEAN, host_work.Step.RELEASE


def unit(number: int = 0, info: dict[str, str] | None = None, **members: object) -> inventory.Accelerator:
    made = inventory.Accelerator(
        uuid=f"unit-{number}", key=f"vf{number}", type=report.HandleType.PCI, info=info or dict(PLAIN)
    )
    return dataclasses.replace(made, **members)  # type: ignore[arg-type]


def host(*units: inventory.Accelerator, can: frozenset[Capability] = frozenset()) -> inventory.Host:
    part = inventory.Deployable(uuid="part", key="", name="part", resource_class="PGPU", accelerators=units)
    device = inventory.Device(
        uuid="device",
        driver="fake_driver",
        address="0000:3b:00.0",
        type=report.DeviceType.GPU,
        vendor="10de",
        model="26b9",
        capabilities=frozenset(map(str, can)),
        deployables=(part,),
    )
    return inventory.Host(name=HOST, devices=(device,))


def request(uuid: str = "r0", state: arq.State = arq.State.INITIAL) -> arq.Arq:
    group = profile.Group(resources={"CUSTOM_ACCELERATOR": 1})
    return arq.Arq(uuid=uuid, project_id="owner", state=state, profile_name="p", group_id=0, group=group)


def uuids() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"work-{next(numbers)}"


def bind(
    of: inventory.Host, *requests: arq.Arq, servers: tuple[str, ...] = (), project: str | None = None
) -> flow.Outcome:
    bindings = [
        arq.Binding(arq_uuid=one.uuid, hostname=HOST, device_rp_uuid="rp", instance_uuid=server, project_id=project)
        for one, server in zip(requests, servers or [SERVER] * len(requests), strict=True)
    ]
    wants = [choice.Want(arq_uuid=one.uuid, group=one.group) for one in requests]
    return flow.bind(of, {one.uuid: one for one in requests}, bindings, wants, uuids())


def states(of: inventory.Host) -> list[AcceleratorState]:
    return [device.state(one) for device, _, one in of.units()]


def state(outcome: flow.Outcome, uuid: str = "r0") -> arq.State:
    return outcome.requests[uuid].state


@pytest.mark.parametrize(
    ("info", "can"), [(PLAIN, frozenset()), (PLAIN, PREPARES | CLEANS), (TO_MAKE, frozenset()), (TO_MAKE, CLEANS)]
)
def test_a_unit_that_no_driver_has_to_prepare_is_bound_at_once(
    info: dict[str, str], can: frozenset[Capability]
) -> None:
    bound = bind(host(unit(info=info), can=can), request())
    assert (state(bound), bound.work) == (arq.State.BOUND, ())
    assert states(bound.host) == [AcceleratorState.HELD]


def test_one_unit_to_prepare_makes_all_of_its_server_wait_and_none_of_another_server() -> None:
    of = host(unit(0), unit(1, TO_MAKE), can=PREPARES)
    both = bind(of, request("r0"), request("r1"))
    (work,) = both.work
    assert (work.kind, work.subject, set(work.former)) == (flow.Kind.PREPARE, SERVER, {"r0", "r1"})
    assert states(both.host) == [AcceleratorState.RESERVED] * 2
    assert {one.state for one in both.requests.values()} == {arq.State.BIND_STARTED}
    apart = bind(of, request("r0"), request("r1"), servers=("first", "second"))
    assert sorted(one.state for one in apart.requests.values()) == [arq.State.BIND_STARTED, arq.State.BOUND]
    assert sorted(states(apart.host)) == [AcceleratorState.HELD, AcceleratorState.RESERVED]


def test_what_stands_beside_work_on_its_card_is_not_taken_as_it_is() -> None:
    busy = host(unit(0), unit(1, work="w"), can=PREPARES)
    assert state(bind(busy, request())) is arq.State.BIND_STARTED
    given_up = host(unit(0), unit(1, work="w", quarantine="why"), can=PREPARES)
    assert state(bind(given_up, request())) is arq.State.BOUND


def started(can: frozenset[Capability] = PREPARES) -> tuple[flow.Outcome, flow.Work]:
    outcome = bind(host(unit(info=TO_MAKE), can=can), request(), project="new owner")
    return outcome, outcome.work[0]


def test_what_was_prepared_is_attached_and_bound() -> None:
    outcome, work = started()
    done = flow.prepared(outcome.host, outcome.requests, work, {"unit-0": ADDRESS})
    assert state(done) is arq.State.BOUND
    (only,) = (one for _, _, one in done.host.units())
    assert (only.work, only.attached, only.holder) == (None, ADDRESS, "r0")


def test_a_bind_that_is_refused_leaves_the_request_as_it_was_and_the_unit_to_be_taken_back() -> None:
    outcome, work = started(PREPARES | CLEANS)
    undone = flow.refused(outcome.host, outcome.requests, work, lambda: "next")
    assert undone.requests["r0"] == request()
    assert states(undone.host) == [AcceleratorState.CLEANING]
    (back,) = undone.work
    assert (back.kind, back.subject, back.steps, back.ends) == (
        flow.Kind.TAKE_BACK,
        "unit-0",
        (CLEAN, RELEASE),
        work.uuid,
    )


def test_a_bind_that_fails_later_says_why_and_holds_nothing() -> None:
    outcome, work = started()
    failed = flow.failed(outcome.host, outcome.requests, work, "no room", lambda: "next")
    one = failed.requests["r0"]
    assert (one.state, one.fault, one.instance_uuid) == (arq.State.BIND_FAILED, "no room", SERVER)
    assert states(failed.host) == [AcceleratorState.CLEANING]


@pytest.mark.parametrize("end", [flow.unbind, flow.delete])
def test_to_unbind_or_delete_calls_a_preparation_off(end: Callable[..., flow.Outcome]) -> None:
    """A DELETE during a bind leaks nothing."""
    outcome, work = started()
    away = end(outcome.host, outcome.requests, lambda: "next")
    assert states(away.host) == [AcceleratorState.CLEANING]
    late = flow.prepared(away.host, away.requests, work, {"unit-0": ADDRESS})
    assert (late.host, late.requests) == (away.host, away.requests)
    assert not flow.failed(away.host, away.requests, work, "why", lambda: "x").work


@pytest.mark.parametrize(
    ("members", "can", "steps"),
    [
        ({}, frozenset(), ()),
        ({}, PREPARES, ()),
        ({}, CLEANS, (CLEAN,)),
        ({}, CLEANS | PREPARES, (CLEAN, RELEASE)),
        ({"info": TO_MAKE}, PREPARES, (RELEASE,)),
        ({"attached": ADDRESS}, frozenset(), (RELEASE,)),
        ({"work": "w"}, frozenset(), (RELEASE,)),
    ],
)
def test_only_what_needs_it_is_worked_on_before_it_is_free(
    members: dict[str, object], can: frozenset[Capability], steps: tuple[host_work.Step, ...]
) -> None:
    held = host(unit(holder="r0", counted=True, **members), can=can)  # type: ignore[arg-type]
    after, work = flow.take_back(held, {"r0"}, lambda: "next")
    assert tuple(one.steps for one in work) == ((steps,) if steps else ())
    (only,) = (one for _, _, one in after.units())
    assert (only.holder, only.counted, only.work) == (None, False, "next" if steps else None)


def test_a_clean_unit_is_free_and_one_that_is_gone_is_forgotten() -> None:
    cleaning = host(unit(0, work="w", attached=ADDRESS), unit(1, work="v", missing=True))
    after = flow.cleaned(flow.cleaned(cleaning, "w"), "v")
    assert [(one.uuid, one.work, one.attached) for _, _, one in after.units()] == [("unit-0", None, None)]
    assert flow.cleaned(after, "w") == after


def test_what_could_not_be_cleaned_is_nobodys_until_an_operator_enables_its_device() -> None:
    """Data of the last tenant is never still on a device that is given out."""
    away = flow.quarantined(host(unit(0, work="w"), unit(1), can=CLEANS), "w", "it does not answer")
    assert states(away) == [AcceleratorState.FAILED, AcceleratorState.FREE]
    assert flow.cleaned(away, "w") == away, "a late answer"
    again, (work,) = flow.clean_again(away, "device", lambda: "next")
    assert states(again) == [AcceleratorState.CLEANING, AcceleratorState.FREE]
    assert (work.uuid, work.ends, work.steps) == ("next", "w", (CLEAN, RELEASE))
    assert states(flow.cleaned(again, "next")) == [AcceleratorState.FREE] * 2


def test_a_card_in_quarantine_that_is_gone_is_given_up_by_an_operator_alone() -> None:
    gone = host(unit(0, work="w", quarantine="why", missing=True), unit(1), can=CLEANS)
    assert choice.forget_missing(gone) == gone
    after, work = flow.clean_again(gone, "device", lambda: "next")
    assert ([one.uuid for _, _, one in after.units()], work) == (["unit-1"], ())


def test_a_host_is_told_what_others_hold_there() -> None:
    of = host(
        unit(0),
        unit(1, TO_MAKE, holder="r1", attached=ADDRESS | {"function": "2"}),
        unit(2, TO_MAKE, holder="r2", work="w"),
        unit(3, PLAIN | {"function": "3"}, holder="r3"),
        unit(4, PLAIN | {"function": "4"}),
    )
    device, part, first = next(of.units())
    told = host_work.unit_of(of, device, part, first)
    assert told.held == {"0000:3b:00.2", "0000:3b:00.3"}
    assert (told.uuid, told.address, told.key, told.info) == ("unit-0", device.address, "vf0", PLAIN)
