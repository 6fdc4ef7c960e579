"""Transfers beside whoever locks accounts, on PostgreSQL: both are locked in one order, and nobody else is."""

import threading
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from billing import accounts
from billing.agenda import transfers as billing_transfers
from core.db import Database
from crm.changes import performing, transfers
from tests.crm.test_changes import START
from tests.crm.test_going_on import Sold, two
from tests.support import eventually

ON = date(2026, 1, 11)


@pytest.fixture
def postgresql(database: Database) -> Database:
    """Where there is more than one writer."""
    if database.is_sqlite:
        pytest.skip("one writer: nobody waits for an account")
    return database


class _Beside:
    """Something done in a thread: what it answered, or the error."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self.answer: Any = None
        self._do = do
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.answer = self._do()
        except Exception as error:
            self.answer = error

    def end(self) -> Any:
        """Wait for it."""
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.answer


def _somebody_waits(database: Database) -> bool:
    with database.read() as conn:
        return bool(conn.execute(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())


def _asked(desk: Sold, service: str, to: str) -> Any:
    with desk.database.write() as conn:
        return transfers.ask(conn, desk.reader, service, to, str(ON), actor="anna")


def test_whoever_waits_to_carry_out_a_transfer_holds_no_account_of_a_later_id(postgresql: Database):
    """It shall go to the account with the lower id, which somebody has: who then also wants the other gets it."""
    desk, service, later = two(postgresql)
    first = desk.account
    with postgresql.write() as conn:
        billing_transfers.transfer(conn, service, later, START, "anna")
    entry = _asked(desk, service, first)
    with postgresql.write() as conn:
        accounts.lock(conn, first)
        beside = _Beside(lambda: performing.perform(postgresql, desk.reader, entry.id))
        eventually(lambda: _somebody_waits(postgresql), cap=10)
        accounts.lock(conn, later)
    assert beside.end().state == "done"


def test_a_service_that_somebody_else_transferred_meanwhile_is_transferred_from_there(postgresql: Database):
    """Its account is what it is once both are locked, not what it was before."""
    desk, service, other = two(postgresql)
    _, third = desk.other_account(anchor=1)
    with postgresql.write() as conn:
        accounts.lock(conn, desk.account)
        beside = _Beside(lambda: _asked(desk, service, third))
        eventually(lambda: _somebody_waits(postgresql), cap=10)
        billing_transfers.transfer(conn, service, other, START, "ben")
    entry = beside.end()
    assert (entry.account_id, entry.details["to"]) == (other, third)
    assert performing.perform(postgresql, desk.reader, entry.id).state == "done"
