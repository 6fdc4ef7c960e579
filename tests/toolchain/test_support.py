"""The ground that the other tests stand on holds."""

import pytest
import sqlalchemy as sa

from core.db import Database
from tests.support import eventually, free_port, kept_port, need


def test_every_test_has_an_empty_database_of_its_own(database: Database):
    """Both databases answer, and a table of an earlier test is not there."""
    with database.write() as conn:
        conn.execute(sa.text("CREATE TABLE seen_before (n INTEGER)"))
        conn.execute(sa.text("INSERT INTO seen_before VALUES (7)"))
    with database.read() as conn:
        assert conn.execute(sa.text("SELECT n FROM seen_before")).scalar_one() == 7


def test_a_second_database_does_not_see_the_first(database: Database):
    """The same table can be made again."""
    test_every_test_has_an_empty_database_of_its_own(database)


def test_eventually_returns_the_first_true_answer():
    """It asks again until the answer is true."""
    answers = iter([0, "", None, "here"])
    assert eventually(lambda: next(answers), cap=5, every=0.001) == "here"


def test_eventually_fails_with_the_log_when_time_is_up():
    """A failure tells what the caller gives it to tell."""
    with pytest.raises(pytest.fail.Exception, match="the log's end"):
        eventually(lambda: False, cap=0.01, every=0.001, says=lambda: "the log's end")


def test_a_missing_part_skips_or_fails_as_asked(monkeypatch: pytest.MonkeyPatch):
    """A laptop skips with the reason; CI must not."""
    monkeypatch.delenv("TRUNKLINE_REQUIRE_REAL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install nothing"):
        need("no-such-program", apt="nothing")
    monkeypatch.setenv("TRUNKLINE_REQUIRE_REAL", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program"):
        need("no-such-program", apt="nothing")


def test_a_free_port_can_be_bound():
    """Two questions in a row give usable ports."""
    assert {free_port(), free_port()} <= set(range(1024, 65536))


def test_a_kept_port_is_given_once():
    """Nobody listens yet when the next one is asked for."""
    assert len({kept_port() for _ in range(300)}) == 300
