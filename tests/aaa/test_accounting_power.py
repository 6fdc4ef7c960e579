"""PostgreSQL and then the node lose their power under load: what was acknowledged is in the database once."""

import pytest

from bench.accounting_kill import kill_both
from tests.postgres import _newest
from tests.support import need


@pytest.mark.real
def test_what_was_acknowledged_is_there_once_after_kill_9_of_postgresql_and_of_the_node():
    """Two workers, SIGKILL of everything, started again; counted by a script that knows none of our code."""
    need(_newest("postgres"), apt="postgresql")
    counted = kill_both(seconds=3, rate=60, workers=2)
    assert counted["acknowledged"] >= 2 * 60 * 3
    assert {name: number for name, number in counted.items() if name != "acknowledged"} == {
        "missing": 0,
        "twice": 0,
        "wrong": 0,
        "usage wrong": 0,
    }
