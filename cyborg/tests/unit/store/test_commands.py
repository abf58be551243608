# SPDX-License-Identifier: Apache-2.0
"""cyborg-dbsync and cyborg-status as operators run them."""

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from cyborg.cmd import dbsync, status
from cyborg.store import schema

#: oslo.upgradecheck draws its table with a constant that prettytable will drop.
pytestmark = pytest.mark.filterwarnings("ignore:the 'ALL' constant is deprecated")


@pytest.fixture
def config(tmp_path: Path) -> list[str]:
    (tmp_path / "cyborg.conf").write_text(f"[database]\nconnection = sqlite:///{tmp_path}/cyborg.sqlite\n")
    return ["--config-file", str(tmp_path / "cyborg.conf")]


@pytest.mark.parametrize("command", ["upgrade", "create_schema"])
def test_a_schema_is_made_and_its_version_shown(
    config: list[str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dbsync.main([*config, "version"]) == 0
    assert "empty" in capsys.readouterr().out
    assert dbsync.main([*config, command]) == 0
    assert dbsync.main([*config, "version"]) == 0
    assert f"database: {schema.head()}" in capsys.readouterr().out


def test_options_may_come_from_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "10-database.conf").write_text(f"[database]\nconnection = sqlite:///{tmp_path}/cyborg.sqlite\n")
    assert dbsync.main(["--config-dir", str(tmp_path), "upgrade", "--revision", "0001"]) == 0
    assert "0001" in capsys.readouterr().out


def test_there_is_nothing_to_migrate_and_that_is_success(config: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert dbsync.main([*config, "online_data_migrations"]) == 0
    assert "Nothing to do" in capsys.readouterr().out


def test_a_foreign_database_fails_with_the_reason_and_no_trace(
    config: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/cyborg.sqlite")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE extended_accelerator_requests (id INTEGER)"))
    engine.dispose()
    assert dbsync.main([*config, "upgrade"]) == 1
    answer = capsys.readouterr().err
    assert "former Cyborg service" in answer
    assert "Traceback" not in answer


def test_a_revision_can_be_recorded(config: list[str]) -> None:
    assert dbsync.main([*config, "upgrade"]) == 0
    assert dbsync.main([*config, "stamp", "--revision", "0001"]) == 0
    assert dbsync.main([*config, "stamp", "--revision", "0815"]) == 1


def test_the_upgrade_check_says_what_to_run(config: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main([*config, "upgrade", "check"]) == 2
    assert "cyborg-dbsync upgrade" in " ".join(capsys.readouterr().out.replace("|", "").split())
    dbsync.main([*config, "upgrade"])
    capsys.readouterr()
    assert status.main([*config, "upgrade", "check", "--json"]) == 0
    assert [check["result"] for check in json.loads(capsys.readouterr().out)["checks"]] == [0, 0]


def test_the_upgrade_check_of_no_database_says_which_option_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cyborg.conf").write_text("")
    assert status.main(["--config-file", str(tmp_path / "cyborg.conf"), "upgrade", "check"]) == 2
    assert "[database] connection" in " ".join(capsys.readouterr().out.replace("|", "").split())
