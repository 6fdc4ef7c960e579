"""When a worker looks at the derived database again: the kernel says so, or twenty times a second."""

import threading

import pytest
import sqlalchemy as sa

from aaa.view import written
from aaa.view.written import Written
from core.db import Database

FOR_EVER = 60.0
"""So long that a test which waits for it fails by its own patience."""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """A file with a connection that keeps its log, and somebody who waits for the kernel's word alone."""
    monkeypatch.setattr(written, "_LOOK", FOR_EVER)
    monkeypatch.setattr(written, "PAUSE", FOR_EVER)
    url = f"sqlite:///{tmp_path / 'index.db'}"
    db = Database(url)
    _commit(db)
    made = Written(url, threading.Event())
    yield made, db
    made.close()
    db.close()


def _commit(db: Database) -> None:
    with db.write() as conn:
        conn.exec_driver_sql("CREATE TABLE IF NOT EXISTS one (number INTEGER)")
        conn.execute(sa.text("INSERT INTO one VALUES (1)"))


def _waits(made: Written, seen: bool = True) -> threading.Thread:
    thread = threading.Thread(target=made.wait, args=(seen,), daemon=True)
    thread.start()
    return thread


def test_a_commit_ends_the_wait_at_once(told):
    """Whoever waits is told of a commit by another connection, again and again."""
    made, db = told
    for _ in range(3):
        assert made._watch()
        waiting = _waits(made)
        _commit(db)
        waiting.join(timeout=10)
        assert not waiting.is_alive()


def test_what_is_written_and_not_yet_committed_is_looked_at_again(told, monkeypatch):
    """The log is written before the commit can be seen: the next looks come soon, until one has seen it."""
    made, db = told
    monkeypatch.setattr(written, "PAUSE", 0.01)
    assert made._watch()
    _commit(db)
    made.wait(seen=True)
    made.wait(seen=False)  # nothing new was written, and it does not wait for that
    made.wait(seen=False)
    waiting = _waits(made, seen=True)
    waiting.join(timeout=0.2)
    assert waiting.is_alive()
    _commit(db)
    waiting.join(timeout=10)
    assert not waiting.is_alive()


def test_a_log_that_went_away_is_watched_anew(told, monkeypatch):
    """The last connection takes the log with it; the next one makes another, which is another file."""
    made, db = told
    assert made._watch()
    db.close()
    made.wait(seen=True)
    assert made._descriptor == -1
    again = Database(str(db.engine.url))
    _commit(again)
    assert made._watch()
    waiting = _waits(made)
    _commit(again)
    waiting.join(timeout=10)
    assert not waiting.is_alive()
    again.close()


@pytest.mark.parametrize("url", ["postgresql+psycopg://nobody@nowhere/none", "sqlite://"])
def test_where_no_file_is_it_looks_at_intervals(url, monkeypatch):
    """PostgreSQL has no file that we see."""
    _looks_at_intervals(url, monkeypatch)


def test_without_watches_it_looks_at_intervals(tmp_path, monkeypatch):
    """A machine may have given all its watches away (fs.inotify.max_user_instances)."""

    class NoneLeft:
        """As libc says it."""

        def inotify_init1(self, _flags: int) -> int:
            """EMFILE."""
            return -1

    url = f"sqlite:///{tmp_path / 'index.db'}"
    db = Database(url)
    _commit(db)
    monkeypatch.setattr(written, "_libc", NoneLeft())
    _looks_at_intervals(url, monkeypatch)
    db.close()


def _looks_at_intervals(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "_LOOK", FOR_EVER)
    monkeypatch.setattr(written, "PAUSE", 0.01)
    made = Written(url, threading.Event())
    waiting = _waits(made)
    waiting.join(timeout=10)
    assert not waiting.is_alive()
    assert made._descriptor == -1
    made.close()
