"""Allocation: a value has one owner, and rests before it is given again."""

from datetime import timedelta

import pytest

from core import clock
from core.db import Database
from inventory import allocation
from inventory.errors import NothingLeft

ONUS = ["0", "1", "2"]


def test_everybody_gets_another_value_and_the_same_one_when_asked_again(database: Database) -> None:
    """Reserve is idempotent for its owner."""
    with database.write() as conn:
        assert allocation.reserve(conn, "onu/olt1/0/1/0", "L-1", ONUS) == "0"
        assert allocation.reserve(conn, "onu/olt1/0/1/0", "L-2", ONUS) == "1"
        assert allocation.reserve(conn, "onu/olt1/0/1/0", "L-1", ONUS) == "0"
        assert allocation.owned(conn, "L-2") == {"onu/olt1/0/1/0": "1"}


def test_a_released_value_rests_before_it_is_given_again(database: Database) -> None:
    """The quarantine of trunkline.yaml."""
    with clock.frozen(clock.now()), database.write() as conn:
        for owner in ("L-1", "L-2", "L-3"):
            allocation.reserve(conn, "s", owner, ONUS)
        assert allocation.release(conn, "L-2", timedelta(days=7)) == 1
        with pytest.raises(NothingLeft, match="'s'"):
            allocation.reserve(conn, "s", "L-4", ONUS)
        clock.advance(timedelta(days=8))
        assert allocation.reserve(conn, "s", "L-4", ONUS) == "1"
