# SPDX-License-Identifier: Apache-2.0
"""All checks over one driver, and the lines that say how it did."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cyborg.drivers.conformance import cleaning, faults, health, looking, shape, working
from cyborg.drivers.conformance.subject import Subject

Check = Callable[[Subject], Iterator[str]]
CHECKS: tuple[Check, ...] = (
    shape.declares_its_options,
    shape.finds_something,
    shape.reports_well_formed,
    looking.is_stable,
    looking.leaves_out_what_changes_by_itself,
    looking.keeps_identity_when_renumbered,
    looking.only_reads,
    looking.lets_sleepers_sleep,
    looking.tells_blind_from_empty,
    looking.gives_vfs_or_the_card,
    looking.withholds_what_the_host_needs,
    looking.measures_its_devices,
    faults.isolates_a_broken_function,
    health.tells_new_errors_from_old_ones,
    health.follows_its_sources,
    working.prepares_what_can_be_attached,
    working.repeats_to_no_effect,
    working.releases_what_it_made,
    working.survives_a_death_at_any_write,
    working.tells_refusals,
    working.disturbs_nobody,
    working.leaves_another_card_alone,
    cleaning.cleans_or_says_no,
    cleaning.cleans_after_every_guest,
    cleaning.cleans_what_a_hypervisor_kept,
    cleaning.remembers_what_failed,
    cleaning.spares_what_the_host_uses,
    cleaning.verifies_what_was_erased,
)
#: Of the problems of one check, the first ones tell the story.
SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    check: str
    problems: tuple[str, ...]


def run(subject: Subject, checks: Iterable[Check] = CHECKS) -> Iterator[Result]:
    """One result for each check, as they come. A driver that fails in an unforeseen way fails the check."""
    for check in checks:
        problems: list[str] = []
        try:
            problems.extend(check(subject))
        except Exception as exc:  # noqa: BLE001 - one driver's work: whatever it does is a finding
            problems.append(f"{type(exc).__name__}: {exc}")
        yield Result(check=check.__name__, problems=tuple(problems))


def lines(result: Result) -> Iterator[str]:
    """One line of text, and one more for each problem."""
    yield f"{'FAILED' if result.problems else 'ok':8}{result.check.replace('_', ' ')}"
    yield from (f"        - {problem}" for problem in result.problems[:SHOWN])
    if len(result.problems) > SHOWN:
        yield f"        - and {len(result.problems) - SHOWN} more"
