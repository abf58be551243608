# SPDX-License-Identifier: Apache-2.0
"""What a device's health counts as, from what its driver saw and what is remembered of it.

Worse counts at once, better only by evidence. A device that was seen failed takes no new work until ``clean_looks``
looks in a row say that it works; one look that does not starts that again. One that failed ``failures`` times within
``window`` seconds stays out until an operator enables it. Nothing is ever said of a host: each device has a history of
its own.

    seen      failed          ok          ok          ok         ok
    phase     FAILED          PROBATION   PROBATION   (none)
    counts    failed          failed      failed      ok         ok       with three clean looks

What is degraded or unknown takes work, so only the word changes. It does so at once for the worse; for the better it
waits for the same evidence (EASING), so that a card which wavers is told of once.

A clean look is one in which the driver could tell that the card works. ``unknown`` tells nothing, so it is clean only
for a device that was unknown before it failed: of such a one nothing better is ever seen.
"""

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum

from cyborg.domain.report import Health

PROBATION = "probation"
LOCKED_OUT = "failed_too_often"
PREPARATION_FAILED = "preparation_failed"
#: The worse, the higher.
_RANK = {Health.OK: 0, Health.UNKNOWN: 1, Health.DEGRADED: 2, Health.FAILED: 3}


class Phase(StrEnum):
    """``FAILED`` waits for its first clean look. ``NONE`` is a device of which only earlier failures are remembered."""

    NONE = "none"
    EASING = "easing"
    FAILED = "failed"
    PROBATION = "probation"
    LOCKED_OUT = "locked_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """``window`` is in seconds; with ``failures`` 0 no device is ever locked out."""

    clean_looks: int = 3
    failures: int = 3
    window: int = 3600


DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    health: Health = Health.OK
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What has to be remembered of one device.

    ``failures`` are the moments at which it failed, in seconds, the last ones only. ``clean`` counts the clean looks in
    a row. ``seen`` is what the last look said, ``before`` what the device counted as before it failed.
    """

    phase: Phase
    clean: int = 0
    failures: tuple[int, ...] = ()
    seen: Verdict = field(default_factory=Verdict)
    before: Health = Health.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a device counts as, and why; ``history`` is None when there is nothing to remember."""

    counts: Verdict = field(default_factory=Verdict)
    history: History | None = None


def judge(standing: Standing, seen: Verdict, moment: int, rules: Rules = DEFAULT_RULES) -> Standing:
    """The standing after a look that saw ``seen`` at ``moment``, in seconds."""
    past = standing.history or History(phase=Phase.NONE)
    past = dataclasses.replace(past, failures=_recent(past.failures, moment, rules), seen=seen)
    if past.phase is Phase.LOCKED_OUT:
        return _out(past)
    if seen.health is Health.FAILED:
        return _failed(standing, past, moment, rules)
    if past.phase in (Phase.FAILED, Phase.PROBATION):
        return _on_probation(past, rules)
    if _RANK[seen.health] < _RANK[standing.counts.health]:
        return _eased(standing, past, rules)
    return _works(past)


def failed_at_work(standing: Standing, moment: int, rules: Rules = DEFAULT_RULES) -> Standing:
    """It could not be made ready for a guest: that counts as a look that saw it failed, and only looks clear it."""
    past = standing.history or History(phase=Phase.NONE, seen=standing.counts)
    after = judge(standing, Verdict(health=Health.FAILED, reasons=(PREPARATION_FAILED,)), moment, rules)
    history = dataclasses.replace(after.history or past, seen=past.seen)
    return Standing(counts=after.counts, history=history)


def counting(history: History | None) -> bool:
    """Whether the same look again would change the standing, so that it must not be left out."""
    return history is not None and history.clean > 0


def interrupted(history: History | None) -> History | None:
    """After the device was not there: looks from before and after are not in a row."""
    return None if history is None else dataclasses.replace(history, clean=0)


def pardoned(standing: Standing) -> Standing:
    """An operator says that the device is good: what its last look saw counts, and nothing earlier does."""
    if standing.history is None:
        return standing
    seen = standing.history.seen
    again = History(phase=Phase.FAILED, seen=seen) if seen.health is Health.FAILED else None
    return Standing(counts=seen, history=again)


def _recent(failures: tuple[int, ...], moment: int, rules: Rules) -> tuple[int, ...]:
    """Clocks differ between conductors: what lies in the future happened just now."""
    kept = tuple(failure for failure in failures if failure > moment - rules.window)
    return kept[-rules.failures :] if rules.failures else ()


def _failed(standing: Standing, past: History, moment: int, rules: Rules) -> Standing:
    """A device that goes on failing has failed once."""
    if past.phase is Phase.FAILED:
        return Standing(counts=past.seen, history=past)
    relapse = past.phase is Phase.PROBATION
    failed = dataclasses.replace(
        past,
        phase=Phase.FAILED,
        clean=0,
        failures=_recent((*past.failures, moment), moment, rules),
        before=past.before if relapse else standing.counts.health,
    )
    if rules.failures and len(failed.failures) >= rules.failures:
        return _out(dataclasses.replace(failed, phase=Phase.LOCKED_OUT))
    return Standing(counts=past.seen, history=failed)


def _out(past: History) -> Standing:
    return Standing(counts=_kept_out(LOCKED_OUT, past.seen), history=past)


def _on_probation(past: History, rules: Rules) -> Standing:
    if past.seen.health is Health.UNKNOWN and past.before is not Health.UNKNOWN:
        return Standing(counts=_kept_out(PROBATION, past.seen), history=dataclasses.replace(past, clean=0))
    clean = past.clean + 1
    if clean >= rules.clean_looks:
        return _works(past)
    counts = _kept_out(PROBATION, past.seen)
    return Standing(counts=counts, history=dataclasses.replace(past, phase=Phase.PROBATION, clean=clean))


def _eased(standing: Standing, past: History, rules: Rules) -> Standing:
    clean = past.clean + 1
    if clean >= rules.clean_looks:
        return _works(past)
    return Standing(counts=standing.counts, history=dataclasses.replace(past, phase=Phase.EASING, clean=clean))


def _works(past: History) -> Standing:
    """What was seen counts; of failures only their moments are kept, until they are too old to matter."""
    kept = History(phase=Phase.NONE, failures=past.failures, seen=past.seen) if past.failures else None
    return Standing(counts=past.seen, history=kept)


def _kept_out(why: str, seen: Verdict) -> Verdict:
    return Verdict(health=Health.FAILED, reasons=(why, *seen.reasons))
