# SPDX-License-Identifier: Apache-2.0
"""Short histories of random clouds, in every way of showing them; `python -m bench.simulate` has the long ones.

Each is the same in every run.
"""

from collections import Counter
from pathlib import Path

import pytest

from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.tests.simulation.simulation import Options, simulate

NESTED = Shape(layout=Layout.NESTED)
COUNTED = Shape(naming=Naming.COUNTED)


@pytest.mark.parametrize("shape", [NESTED, COUNTED], ids=str)
def test_what_passed_scheduling_is_bound_when_servers_are_built_one_by_one(tmp_path: Path, shape: Shape) -> None:
    result = simulate(tmp_path, Options(shape=shape, hosts=4, steps=36, seed=11))
    assert result.outcomes["booted"] > 8
    assert result.failed == Counter()


def test_on_one_provider_with_one_class_only_requests_for_several_cards_fail(tmp_path: Path) -> None:
    result = simulate(tmp_path, Options(shape=Shape(), hosts=4, steps=36, seed=11))
    assert result.outcomes["booted"] > 8
    assert set(result.failed) <= {"gpu-and-gpu", "two-gpus", "two-qats"}


@pytest.mark.parametrize(
    ("shape", "may_fail"), [(NESTED, set()), (COUNTED, {"any", "nvidia", "big-gpu"})], ids=["nested", "counted"]
)
def test_claims_before_binds_fail_nothing_that_was_counted(tmp_path: Path, shape: Shape, may_fail: set[str]) -> None:
    result = simulate(tmp_path, Options(shape=shape, hosts=4, steps=8, concurrent=6, seed=5))
    assert result.outcomes["booted"] > 8
    assert set(result.failed) <= may_fail


@pytest.mark.parametrize("shape", [NESTED, COUNTED], ids=str)
def test_on_providers_of_nova_compute_nothing_fails_but_what_came_before_the_agent_looked(
    tmp_path: Path, shape: Shape
) -> None:
    options = Options(shape=shape, hosts=3, steps=36, seed=7, nova_managed=True)
    result = simulate(tmp_path, options)
    assert result.outcomes["booted"] > 8
    assert result.outcomes["things that nova-compute did"] > 1
    assert result.failed == Counter()
