# SPDX-License-Identifier: Apache-2.0
"""What a device's health counts as after a series of looks, and that nothing but evidence makes it better."""

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyborg.domain import health, inventory, reconcile, report, status, wire
from cyborg.domain.health import Rules, Standing, Verdict
from cyborg.domain.report import Health
from cyborg.tests import builders

OK, DEGRADED, FAILED, UNKNOWN = Health.OK, Health.DEGRADED, Health.FAILED, Health.UNKNOWN
LETTERS = {"o": OK, "d": DEGRADED, "f": FAILED, "u": UNKNOWN}
LOOKS = st.lists(st.sampled_from(Health), max_size=30)
MINUTE = 60

#: (what is true, looks a minute apart, what each counts as)
STORIES = [
    ("a device that works counts as working", "ooo", "ooo"),
    ("what failed counts as failed at once, and as working after three clean looks in a row", "ofooo", "offfo"),
    ("a device that is new and failed counts as failed", "f", "f"),
    ("one bad look in probation starts it again", "foofooo", "ffffffo"),
    ("three failures within the window lock it out, whatever is seen then", "fofofooooo", "ffffffffff"),
    ("a device that goes on failing has failed once", "ffffffooo", "ffffffffo"),
    ("it works with its degradation, as it did before", "fddd", "fffd"),
    ("what cannot be told is no clean look", "ofuuuuooo", "offfffffo"),
    ("what cannot be told in between starts probation again", "fouoo", "fffff"),
    ("of a device that was never known to work no more is asked than before it failed", "ufuuu", "ufffu"),
    ("worse counts at once", "odu", "odd"),
    ("better counts after three looks", "dooo", "dddo"),
    ("a device that wavers counts as degraded all the time", "odododod", "oddddddd"),
    ("a device that cannot be told any more is unknown at once", "ou", "ou"),
    ("what becomes better in two steps counts as the last one", "duuo", "dddo"),
    ("a degraded device that fails is failed at once", "df", "df"),
]


def after(looks: Sequence[Health], rules: Rules = health.DEFAULT_RULES, standing: Standing | None = None) -> Standing:
    """After looks a minute apart."""
    standing = standing or Standing()
    for number, look in enumerate(looks):
        standing = health.judge(standing, Verdict(health=look), number * MINUTE, rules)
    return standing


@pytest.mark.parametrize(("looks", "counts"), [story[1:] for story in STORIES], ids=[story[0] for story in STORIES])
def test_story(looks: str, counts: str) -> None:
    seen = [LETTERS[letter] for letter in looks]
    assert [after(seen[: end + 1]).counts.health for end in range(len(seen))] == [LETTERS[one] for one in counts]


def test_failures_that_are_farther_apart_than_the_window_lock_nothing_out() -> None:
    rules, standing = Rules(clean_looks=1, failures=3, window=100), Standing()
    for moment in range(0, 1000, 60):
        standing = health.judge(standing, Verdict(health=FAILED), moment, rules)
        standing = health.judge(standing, Verdict(health=OK), moment + 1, rules)
        assert standing.counts.health is OK


def test_with_no_limit_of_failures_nothing_is_locked_out() -> None:
    assert after([FAILED, OK] * 20 + [OK, OK], Rules(failures=0)).counts.health is OK


def test_the_reasons_say_what_is_waited_for_beside_what_the_driver_says() -> None:
    standing = after([FAILED])
    standing = health.judge(standing, Verdict(health=DEGRADED, reasons=("link_width_below_max",)), 60)
    assert standing.counts == Verdict(health=FAILED, reasons=("probation", "link_width_below_max"))
    locked = after([FAILED, OK, FAILED, OK])
    locked = health.judge(locked, Verdict(health=FAILED, reasons=("fatal_errors",)), 240)
    assert locked.counts == Verdict(health=FAILED, reasons=("failed_too_often", "fatal_errors"))


def test_a_device_that_waits_for_better_looks_keeps_the_reasons_that_it_had() -> None:
    bad = health.judge(Standing(), Verdict(health=DEGRADED, reasons=("correctable_errors",)), 0)
    assert health.judge(bad, Verdict(), 60).counts == bad.counts


def test_a_failure_is_forgotten_when_it_is_too_old_to_matter() -> None:
    well = after([FAILED, OK, OK, OK])
    assert well.history is not None
    assert health.judge(well, Verdict(), 2 * 3600).history is None


def test_there_is_nothing_to_remember_of_a_device_that_works() -> None:
    assert after([OK, UNKNOWN, DEGRADED]).history is None


def test_an_operator_ends_a_lockout_and_a_probation() -> None:
    for looks in ([FAILED, OK], [FAILED, OK, FAILED, OK, FAILED, OK]):
        assert health.pardoned(after(looks)) == Standing()


def test_an_operator_cannot_make_a_device_work_that_does_not() -> None:
    again = health.pardoned(after([FAILED, OK, FAILED, OK, FAILED]))
    assert again.counts.health is FAILED
    assert after([OK, OK], standing=again).counts.health is FAILED
    assert after([OK, OK, OK], standing=again) == Standing()


@pytest.mark.parametrize("was", [OK, DEGRADED, UNKNOWN], ids=str)
def test_to_fail_at_work_counts_like_a_look_that_saw_it_and_looks_or_an_operator_end_it(was: Health) -> None:
    failed = health.failed_at_work(after([was] * 3), MINUTE)
    assert failed.counts == Verdict(health=FAILED, reasons=(health.PREPARATION_FAILED,))
    assert health.pardoned(failed) == Standing(counts=Verdict(health=was))
    assert [after([was] * looks, standing=failed).counts.health for looks in (2, 3)] == [FAILED, was]


def test_a_device_that_fails_at_work_too_often_is_locked_out() -> None:
    standing = Standing()
    for number in range(3):
        standing = health.failed_at_work(after([OK] * 3, standing=standing), number * MINUTE)
    assert standing.counts.reasons[0] == health.LOCKED_OUT
    assert health.pardoned(standing).counts.health is OK


@given(LOOKS)
def test_a_history_crosses_the_wire_unchanged(looks: list[Health]) -> None:
    history = after(looks).history
    if history is not None:
        assert wire.from_wire(health.History, wire.to_wire(history)) == history


@given(LOOKS, st.integers(1, 5), st.integers(0, 4))
def test_no_device_works_again_before_enough_clean_looks_in_a_row(
    looks: list[Health], clean_looks: int, failures: int
) -> None:
    rules = Rules(clean_looks=clean_looks, failures=failures)
    for end in range(1, len(looks) + 1):
        seen = looks[:end]
        if FAILED in seen and after(seen, rules).counts.health is not FAILED:
            since = seen[len(seen) - seen[::-1].index(FAILED) :]
            assert len(since) >= clean_looks
            assert failures == 0 or _failures(seen) < failures


@given(LOOKS, st.integers(1, 5))
def test_a_device_that_works_for_long_enough_counts_as_what_is_seen(looks: list[Health], clean_looks: int) -> None:
    rules = Rules(clean_looks=clean_looks, failures=0)
    assert after([*looks, *[OK] * clean_looks], rules).counts == Verdict()


@given(LOOKS)
def test_what_is_worse_counts_at_once(looks: list[Health]) -> None:
    ranks = [OK, UNKNOWN, DEGRADED, FAILED]
    for end in range(1, len(looks) + 1):
        assert ranks.index(after(looks[:end]).counts.health) >= ranks.index(looks[end - 1])


@given(LOOKS)
def test_a_standing_that_does_not_count_is_not_changed_by_the_same_look(looks: list[Health]) -> None:
    """Such a report is not sent again."""
    standing = after(looks)
    if looks and not health.counting(standing.history):
        again = health.judge(standing, Verdict(health=looks[-1]), len(looks) * MINUTE)
        assert again.counts == standing.counts


def _failures(looks: Sequence[Health]) -> int:
    """Failures that are not the last one going on; what cannot be told does not end one."""
    told = [look for look in looks if look is not UNKNOWN]
    return sum(look is FAILED and before is not FAILED for before, look in zip([OK, *told], told, strict=False))


CARDS = [f"0000:{bus:02x}:00.0" for bus in (0x3B, 0x5E, 0x86)]


def seen(*looks: Health) -> report.DeviceReport:
    cards = [
        dataclasses.replace(builders.gpu(address), health=look) for address, look in zip(CARDS, looks, strict=True)
    ]
    return builders.host("host-1", cards)


def planned(reports: Sequence[report.DeviceReport], host: inventory.Host | None = None) -> inventory.Host:
    host = host or inventory.Host(name="host-1")
    for number, one in enumerate(reports):
        host = reconcile.plan(host, one, moment=number * MINUTE)
    return host


def states(host: inventory.Host) -> list[str]:
    return [str(device.state(unit)) for device, _, unit in host.units()]


@given(st.lists(st.sampled_from(Health), min_size=1, max_size=12))
def test_the_health_of_a_card_is_its_own(looks: list[Health]) -> None:
    host = planned([seen(OK, look, OK) for look in looks])
    assert [device.health for device in host.devices] == [OK, after(looks).counts.health, OK]
    assert states(host)[::2] == ["free", "free"]


def test_a_card_in_probation_takes_no_new_work_and_its_holder_keeps_it() -> None:
    host = planned([seen(OK, OK, OK)])
    uuid = host.devices[0].deployables[0].accelerators[0].uuid
    held = host.map_accelerators(lambda one: dataclasses.replace(one, holder="arq") if one.uuid == uuid else one)
    assert states(planned([seen(FAILED, FAILED, OK), seen(OK, OK, OK)], held)) == ["held", "failed", "free"]


def test_a_host_is_not_settled_while_a_card_of_it_is_in_probation() -> None:
    stories = {"f": True, "fo": False, "foo": False, "fooo": True, "fu": True, "do": False, "fofofo": True}
    for looks, settled in stories.items():
        reports = [seen(LETTERS[look], OK, OK) for look in looks]
        assert reconcile.settled(planned(reports), reports[-1]) is settled, looks


def test_looks_from_before_and_after_an_absence_are_not_in_a_row() -> None:
    without = dataclasses.replace(seen(OK, OK, OK), devices=seen(OK, OK, OK).devices[1:])
    host = planned([seen(FAILED, OK, OK), seen(OK, OK, OK), seen(OK, OK, OK), without, seen(OK, OK, OK)])
    assert host.devices[0].health is FAILED
    assert planned([seen(OK, OK, OK)] * 2, host).devices[0].health is OK


def test_to_enable_a_device_ends_its_lockout_and_that_of_no_other() -> None:
    reports = [seen(FAILED, FAILED, OK), seen(OK, OK, OK)] * 3
    host = planned(reports)
    assert states(host) == ["failed", "failed", "free"]
    enabled = status.with_device(host, host.devices[0].uuid, inventory.DeviceStatus.ENABLED)
    assert states(enabled) == ["free", "failed", "free"]
    assert enabled.devices[0].health_history is None


def test_the_log_tells_of_a_probation_when_it_starts_and_when_it_ends() -> None:
    host, told = planned([seen(FAILED, OK, OK)]), []
    for _ in range(5):
        now = reconcile.plan(host, seen(OK, OK, OK))
        told.append(len(list(reconcile.changes(host, now))))
        host = now
    assert told == [1, 0, 1, 0, 0]
