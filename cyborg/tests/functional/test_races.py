# SPDX-License-Identifier: Apache-2.0
"""Many at once through several API and conductor processes; `bench.races` does it with more of all."""

from collections.abc import Iterator

import pytest

from cyborg.tests import databases
from cyborg.tests.functional.deployment import rabbitmq
from cyborg.tests.functional.races import RACES, Course, race_course

pytestmark = pytest.mark.servers

RACERS = 48
APIS, CONDUCTORS = 2, 2


@pytest.fixture(scope="module", params=list(databases.VARIABLES))
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    directory = tmp_path_factory.mktemp("races")
    with (
        databases.fresh(request.param, directory) as url,
        race_course(directory, database=url, transport_url=rabbitmq(), apis=APIS, conductors=CONDUCTORS) as course,
    ):
        yield course


@pytest.fixture
def course(running: Course) -> Iterator[Course]:
    yield running
    running.clean()


@pytest.mark.parametrize("name", list(RACES))
def test_each_card_and_each_request_is_won_by_one(course: Course, name: str) -> None:
    RACES[name](course, RACERS if name == "many for few cards" else RACERS // 3)
