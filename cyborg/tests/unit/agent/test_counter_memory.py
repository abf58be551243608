# SPDX-License-Identifier: Apache-2.0
"""An agent that restarts does not take old errors for new ones; a host that restarts counts anew."""

from pathlib import Path

import pytest

from cyborg.agent.counter_memory import CounterMemory
from cyborg.drivers.counters import HOLD, Counters

CARD = "0000:3b:00.0"


class Agent:
    """What of one agent's life is about counters."""

    def __init__(self, file: Path, *, boot: str = "boot-1", now: float = 0.0) -> None:
        self.now = now
        self.counters = Counters(clock=lambda: self.now)
        self.memory = CounterMemory(self.counters, file, boot)
        self.memory.recall()

    def look(self, value: int) -> bool:
        grew = self.counters.grew(CARD, "aer_dev_fatal", value)
        self.memory.keep()
        return grew


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "counters" / "compute-1.json"


def test_errors_that_an_earlier_agent_saw_are_old(file: Path) -> None:
    assert Agent(file).look(3)
    later = Agent(file, now=HOLD)
    assert not later.look(3)
    assert later.look(4)


def test_an_agent_that_restarts_goes_on_holding_what_grew(file: Path) -> None:
    Agent(file).look(3)
    assert Agent(file, now=HOLD - 1).look(3)


def test_after_a_restart_of_the_host_all_is_seen_for_the_first_time(file: Path) -> None:
    Agent(file).look(3)
    assert Agent(file, boot="boot-2", now=HOLD).look(3)


def test_a_host_that_cannot_tell_one_boot_from_another_keeps_nothing(file: Path) -> None:
    Agent(file, boot="").look(3)
    assert not file.exists()


def test_nothing_is_written_while_nothing_changes(file: Path) -> None:
    agent = Agent(file)
    agent.look(3)
    file.unlink()
    for _ in range(5):
        agent.now += HOLD
        agent.look(3)
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"boot": "boot-1", "counters": [["x"]]}', '{"boot": "boot-1"}'])
def test_a_damaged_file_costs_only_what_it_held(file: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    file.parent.mkdir()
    file.write_text(text)
    assert Agent(file).look(3)
    assert "is not understood" in caplog.text
    assert not Agent(file, now=HOLD).look(3)


def test_a_file_that_cannot_be_written_is_told_once_and_tried_again(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.write_text("in the way")
    agent = Agent(file)
    for value in (3, 4, 5):
        agent.look(value)
    assert caplog.text.count("cannot be written") == 1
    file.parent.unlink()
    agent.look(6)
    assert not Agent(file, now=HOLD).look(6)
