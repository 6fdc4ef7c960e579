"""A NAS with many sessions restarts: they are closed some at a time, whatever dies in between, and nothing else is."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from aaa.accounting import store
from aaa.accounting.commit import CLOSING, GroupCommit, Submitted
from aaa.accounting.journal import Journal
from aaa.accounting.record import INTERIM, OFF, ON, START, AccountingRecord
from core import faults
from tests.aaa.test_accounting import NOON, record, stored, write

MANY = 11


@pytest.fixture
def few_at_once(monkeypatch):
    """Three sessions of a NAS in one transaction."""
    monkeypatch.setattr(store, "AT_ONCE", 3)


@pytest.fixture
def many(database, few_at_once):
    """Sessions of bng1, a second apart; the last of them was heard after the restart; and one of bng2."""
    some = [record(START, n, session_time=0, session_id=b"%d" % n, service=f"S-{n}") for n in range(MANY)]
    write(database, *some, record(START, nas="bng2", session_id=b"x", service="S-x"))
    last = MANY - 1
    write(
        database, record(INTERIM, 700, session_time=700 - last, session_id=b"%d" % last, service=f"S-{last}")
    )
    return database


def restart(kind: int = ON):
    return record(kind, at=NOON + 600, session_id=b"", service="")


@contextmanager
def dying(monkeypatch, passage: int) -> Iterator[None]:
    """The process dies behind a part."""
    passed = faults._passages.get(CLOSING, 0)
    with monkeypatch.context() as patch:
        patch.setenv("TRUNKLINE_TEST_MODE", "1")
        patch.setenv("TRUNKLINE_FAULT", f"{CLOSING}:{passed + passage}:raise")
        yield


def told(one: AccountingRecord, answers: list[bool]) -> Submitted:
    """A record that came, and whether it was answered."""
    return Submitted([one], lambda _numbers, durable: answers.append(durable))


def states(database) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in stored(database):
        found.setdefault(f"{row.nas} {row.state} {row.cause}".strip(), []).append(
            bytes(row.acct_session_id).decode()
        )
    return found


CLOSED = {
    "bng1 closed nas-reboot": [str(n) for n in range(MANY - 1)],
    "bng1 open": [str(MANY - 1)],
    "bng2 open": ["x"],
}


@pytest.mark.parametrize("kind", [ON, OFF])
def test_a_restart_is_acknowledged_when_it_is_durable_and_closes_all_of_it(many, tmp_path, kind):
    """A part of the sessions with the answer, the rest from the journal: each in a transaction of few rows."""
    updated: list[int] = []

    def counted(_conn, cursor, statement, *_rest) -> None:
        if statement.startswith("UPDATE radius_session SET"):
            updated.append(cursor.rowcount)

    sa.event.listen(many.engine, "after_cursor_execute", counted)
    commit, answers = GroupCommit(many, Journal(tmp_path)), list[bool]()
    commit.settle([told(restart(kind), answers)])
    assert answers == [True]
    assert Journal(tmp_path).waiting
    commit.drain()
    assert states(many) == CLOSED
    assert max(updated) == 3
    assert not Journal(tmp_path).waiting
    commit.settle([told(restart(kind), answers)])  # sent again
    assert states(many) == CLOSED
    commit._journal.close()


def test_a_process_that_dies_between_the_parts_leaves_the_rest_to_the_next(many, tmp_path, monkeypatch):
    """Nothing was answered before it was durable; whoever drains the journal goes on where it was."""
    commit, answers = GroupCommit(many, Journal(tmp_path)), list[bool]()
    with dying(monkeypatch, 1), pytest.raises(faults.FaultInjected):
        commit.settle([told(restart(), answers)])
    assert answers == []
    assert len(states(many)["bng1 closed nas-reboot"]) == 3
    commit.settle([told(restart(), answers)])
    with dying(monkeypatch, 1), pytest.raises(faults.FaultInjected):
        commit.drain()
    assert answers == [True]
    assert len(states(many)["bng1 closed nas-reboot"]) == 9
    commit._journal.close()
    GroupCommit(many, Journal(tmp_path)).drain()
    assert states(many) == CLOSED


def test_without_a_journal_it_is_answered_when_all_is_closed(many, tmp_path, monkeypatch):
    """The disk takes nothing: the database has all of it, or there is no answer."""
    commit, answers = GroupCommit(many, Journal(tmp_path)), list[bool]()

    def full(_records) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(commit._journal, "append", full)
    commit.settle([told(restart(), answers)])
    assert (answers, states(many)) == ([True], CLOSED)


def test_records_beside_a_restart_are_merged_in_between(many, tmp_path):
    """A session that begins while the old ones are closed, and an id that comes back: both live."""
    commit, answers = GroupCommit(many, Journal(tmp_path)), list[bool]()
    commit.settle([told(restart(), answers)])
    again = [record(START, 610 + n, session_time=0, session_id=b"%d" % n, service=f"S-{n}") for n in (0, 8)]
    commit.settle([told(one, answers) for one in again])
    commit.drain()
    assert answers == [True] * 3
    assert states(many)["bng1 open"] == ["10", "0", "8"]
    assert "8" in states(many)["bng1 closed superseded"]
    commit._journal.close()
