"""A database that answers and says no: read-only, full, without our rights. Nothing is lost, nothing is set aside."""

import sqlite3
import threading
from typing import Any

import msgspec
import psycopg
import pytest
import sqlalchemy as sa

from aaa.accounting.commit import GroupCommit, Submitted, _is_the_databases
from aaa.accounting.journal import Journal
from aaa.accounting.record import INTERIM, START
from aaa.view.derived import accounting_database
from core.db import Database, DatabaseAway, DatabaseDamaged
from tests.aaa.network import settings_in
from tests.aaa.test_accounting import record, stored, write

_REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '%s'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON radius_session EXECUTE FUNCTION refuse();
"""


@pytest.fixture
def postgresql(database: Database) -> Database:
    """Only there."""
    if database.is_sqlite:
        pytest.skip("SQLite answers none of these")
    return database


def _do(database: Database, statement: str) -> None:
    with database.write() as conn:
        conn.exec_driver_sql(statement)


def _settled(commit: GroupCommit, *records: Any) -> list[bool]:
    answers: list[bool] = []
    commit.settle([Submitted(records, lambda numbers, durable: answers.extend([durable] * len(numbers)))])
    return answers


@pytest.mark.parametrize("state", ["53100", "57014", "42501", "42P01", "25006", "XX000"])
def test_what_it_refuses_is_journalled_and_drained_when_it_is_well(postgresql, tmp_path, state):
    """Disk full, cancelled, no right, no table, read-only, a fault of its own: at the first use of a connection."""
    journal = Journal(tmp_path)
    journal.append([record(START, session_id=b"earlier")])
    journal.close()
    commit = GroupCommit(postgresql, journal)
    _do(postgresql, (_REFUSE % state).replace("%", "%%"))
    postgresql.close()
    assert _settled(commit, record(START, session_id=b"1"), record(START, session_id=b"2")) == [True, True]
    commit._away_until = 0.0
    assert commit.drain() == 0
    assert not (tmp_path / "refused.log").exists()
    _do(postgresql, "DROP TRIGGER refuse ON radius_session")
    commit._away_until = 0.0
    assert commit.drain() == 3
    assert _settled(commit, record(START, session_id=b"3")) == [True]
    assert sorted(row.acct_session_id for row in stored(postgresql)) == [b"1", b"2", b"3", b"earlier"]


def test_a_database_that_became_read_only_is_asked_by_new_connections(postgresql, tmp_path):
    """As after a switch-over: a connection keeps what it was told when it was made."""
    commit = GroupCommit(postgresql, Journal(tmp_path))
    name = postgresql.url.database
    _do(postgresql, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    postgresql.close()
    assert _settled(commit, record(START)) == [True]
    with postgresql.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("SET default_transaction_read_only = off")
        conn.exec_driver_sql(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        conn.exec_driver_sql("SET default_transaction_read_only = on")
    drained = []
    for _ in range(2):  # by that very connection, then by a new one
        commit._away_until = 0.0
        drained.append(commit.drain())
    assert drained == [0, 1]
    assert len(stored(postgresql)) == 1


def test_a_statement_that_the_connection_has_and_we_do_not_know_is_made_anew(postgresql):
    """It failed in its first exchange: what was prepared there stays prepared."""
    _do(postgresql, _REFUSE % "53100")
    postgresql.close()
    for _ in range(2):
        with pytest.raises((psycopg.Error, sa.exc.SQLAlchemyError, DatabaseAway)):
            write(postgresql, record(START))
    _do(postgresql, "DROP TRIGGER refuse ON radius_session")
    write(postgresql, record(START))
    assert len(stored(postgresql)) == 1


@pytest.mark.parametrize(
    ("error", "databases"),
    [
        (DatabaseAway("postgresql", "refused"), True),
        (DatabaseDamaged("sqlite", "malformed"), True),
        (sqlite3.DatabaseError("database disk image is malformed"), True),
        (sqlite3.IntegrityError("UNIQUE constraint failed"), False),
        (psycopg.errors.ReadOnlySqlTransaction("no"), True),
        (psycopg.errors.InsufficientPrivilege("no"), True),
        (psycopg.errors.NumericValueOutOfRange("22003"), False),
        (psycopg.errors.UniqueViolation("23505"), False),
        (sa.exc.DataError("INSERT", {}, psycopg.errors.StringDataRightTruncation("22001")), False),
        (sa.exc.ProgrammingError("SELECT", {}, psycopg.errors.UndefinedTable("42P01")), True),
        (sa.exc.StatementError("naive", "INSERT", {}, ValueError("no time zone")), False),
        (ValueError("we stumble"), False),
        (OverflowError("we stumble"), False),
    ],
)
def test_whose_fault_an_error_is(error, databases):
    """A record is set aside only for what it says itself."""
    assert _is_the_databases(error) is databases


def test_a_lock_that_somebody_keeps_is_not_waited_for(postgresql, database_url, tmp_path):
    """Of whatever table, for however rare a record: it goes to the journal, and into the database when that is free."""
    write(postgresql, record(START, framed_address="100.64.1.1"))
    ours = accounting_database(msgspec.structs.replace(settings_in(tmp_path), database_url=database_url))
    journal = Journal(tmp_path / "journal")
    commit = GroupCommit(ours, journal)
    with psycopg.connect(database_url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE session_address IN ACCESS EXCLUSIVE MODE")
        gives_up = threading.Timer(20, other.close)
        gives_up.start()
        assert _settled(commit, record(INTERIM, 600, framed_address="100.64.1.2")) == [True]
        assert gives_up.is_alive()
        gives_up.cancel()
        assert journal.waiting
        other.rollback()
    commit._away_until = 0.0
    assert commit.drain() == 1
    assert [row.framed_address for row in stored(postgresql)] == ["100.64.1.2"]
    journal.close()
    ours.close()
