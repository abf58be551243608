# SPDX-License-Identifier: Apache-2.0
"""Transactions, what they count, and what a database may answer at any time."""

import multiprocessing
import os
import socket
from pathlib import Path

import oslo_db.exception as oslo
import pytest
from oslo_config import cfg
from oslo_db import options
from sqlalchemy import func, select, text

from cyborg.domain import errors
from cyborg.store import device_profiles, hosts, models, schema
from cyborg.store.engine import Store
from cyborg.tests import databases
from cyborg.tests.unit.store import builders


def names(store: Store) -> list[str]:
    with store.reading() as tx:
        return [row.name for row in tx.execute(select(models.Host.name).order_by(models.Host.name))]


def write(url: str, prefix: str, count: int) -> None:
    store = Store(url)
    for number in range(count):
        with store.transaction() as tx:
            hosts.get_or_create(tx, f"{prefix}-{number}")
    store.dispose()


def test_statements_are_counted_and_the_marks_of_transactions_are_not(store: Store) -> None:
    before = store.statements
    with store.transaction() as tx, databases.recorded(store) as recorded:
        tx.execute(select(func.count()).select_from(models.Host))
        hosts.get_or_create(tx, "a")
    with store.reading() as tx:
        tx.execute(select(func.count()).select_from(models.Host))
    assert store.statements - before == len(recorded) + 1 == 7


def test_an_error_undoes_the_whole_transaction(store: Store) -> None:
    def work() -> None:
        with store.transaction() as tx:
            hosts.get_or_create(tx, "a")
            raise errors.InUse("no")

    with pytest.raises(errors.InUse):
        work()
    assert names(store) == []


def test_reading_does_not_wait_for_a_writer_and_sees_what_is_committed(store: Store) -> None:
    with store.transaction() as tx:
        hosts.get_or_create(tx, "a")
        assert names(store) == []
    assert names(store) == ["a"]


def test_the_isolation_is_the_same_on_every_connection(store: Store) -> None:
    question = {"mysql": "SELECT @@transaction_isolation", "postgresql": "SHOW transaction_isolation"}
    if store.engine.name == "sqlite":
        pytest.skip("SQLite has one writer and snapshots for the rest")
    question["mysql"] = "SELECT @@tx_isolation"
    with store.transaction() as one, store.transaction() as two:
        for tx in (one, two):
            answer = tx.execute(text(question[store.engine.name])).scalar_one()
            assert answer.upper().replace("-", " ") == "READ COMMITTED"


def test_many_threads_may_write(store: Store) -> None:
    def create(number: int) -> None:
        with store.transaction() as tx:
            hosts.get_or_create(tx, f"h{number}")

    answers = builders.together([lambda number=number: create(number) for number in range(12)])  # type: ignore[misc]
    assert answers == [None] * 12
    assert len(names(store)) == 12


def test_several_processes_may_write_one_sqlite_file(tmp_path: Path) -> None:
    with databases.fresh("sqlite", tmp_path) as url:
        store = Store(url)
        schema.upgrade(store)
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=write, args=(url, prefix, 20)) for prefix in ("a", "b")]
        for worker in workers:
            worker.start()
        write(url, "c", 20)
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0]
        assert len(names(store)) == 60
        store.dispose()


def test_sqlite_keeps_foreign_keys_and_writes_ahead(tmp_path: Path) -> None:
    with databases.fresh("sqlite", tmp_path) as url:
        store = Store(url)
        with store.reading() as tx:
            pragmas = {
                name: tx.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
            }
        store.dispose()
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 30000}


def test_a_sqlite_connection_that_came_over_a_fork_is_not_used(tmp_path: Path) -> None:
    with databases.fresh("sqlite", tmp_path) as url:
        store = Store(url)
        with store.reading() as tx:
            inherited = tx.connection.dbapi_connection
            tx.info["pid"] = 0
        with store.reading() as tx:
            assert tx.connection.dbapi_connection is not inherited
            assert tx.info["pid"] == os.getpid()
        store.dispose()


def test_sqlite_in_memory_is_refused() -> None:
    with pytest.raises(errors.InvalidRequest, match="needs a file"):
        Store("sqlite://")


def test_a_deadlock_is_run_again_until_it_works(store: Store) -> None:
    tries = []

    def work(answer: str) -> str:
        tries.append(answer)
        with store.transaction():
            if len(tries) < 3:
                raise oslo.DBDeadlock
        return answer

    assert store.retrying(work, "done") == "done"
    assert len(tries) == 3


def test_what_is_not_a_deadlock_is_not_run_again(store: Store) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        raise errors.Unavailable("elsewhere")

    with pytest.raises(errors.Unavailable, match="elsewhere"):
        store.retrying(work)
    assert len(tries) == 1


def test_a_real_deadlock_ends_with_both_done(store: Store) -> None:
    for name in ("a", "b"):
        with store.transaction() as tx:
            hosts.get_or_create(tx, name)

    def both(first: str, second: str) -> None:
        with store.transaction() as tx:
            for name in (first, second):
                before = hosts.get_or_create(tx, name)
                hosts.save(tx, before, builders.next_generation(before))

    def often(first: str, second: str) -> None:
        for _ in range(3):
            store.retrying(both, first, second)

    answers = builders.together([lambda: often("a", "b"), lambda: often("b", "a")])
    assert answers == [None, None]
    assert builders.stored(store, "a").generation == builders.stored(store, "b").generation == 6


@pytest.mark.parametrize(
    "url", ["mysql+pymysql://u:secret@127.0.0.1:{port}/x", "postgresql+psycopg://u:secret@127.0.0.1:{port}/x"]
)
def test_a_database_that_is_away_is_unavailable_and_keeps_its_password(url: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        store = Store(url.format(port=unused.getsockname()[1]))
        with pytest.raises(errors.Unavailable) as caught, store.reading():
            pass
    assert "secret" not in caught.value.message
    assert "[database] connection" in caught.value.message


def test_a_database_without_a_schema_says_what_to_run(tmp_path: Path) -> None:
    with databases.fresh("sqlite", tmp_path) as url:
        store = Store(url)
        with pytest.raises(errors.Unavailable, match="cyborg-dbsync upgrade"), store.reading() as tx:
            device_profiles.page(tx)
        store.dispose()


def test_a_store_is_made_from_the_database_options(tmp_path: Path) -> None:
    conf = cfg.ConfigOpts()
    options.set_defaults(conf)
    conf([])
    with pytest.raises(errors.Unavailable, match="No database is configured"):
        Store.from_conf(conf)
    with databases.fresh("sqlite", tmp_path) as url:
        conf.set_override("connection", url, "database")
        store = Store.from_conf(conf)
        schema.upgrade(store)
        assert names(store) == []
        store.dispose()
