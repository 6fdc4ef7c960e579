"""Some weeks of the simulated ISP: every invariant every evening, and the same books when it is killed all the time."""

from datetime import date

import pytest
import sqlalchemy as sa

from bench import year_checks
from bench.year_story import day_by_day, export, killed
from bench.year_world import Year
from core import migrate
from core.db import Database

SPRING = date(2026, 4, 9)


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """Ninety-nine days of twenty accounts on SQLite, lived in peace."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('year') / 'calm.db'}", durable=False)
    migrate.upgrade(database)
    year = Year(database, 7, 20, 99)
    assert day_by_day(year) == []
    yield year
    database.close()


@pytest.mark.slow
def test_every_invariant_holds_every_evening(database: Database):
    """Six weeks of fifteen accounts in ten time zones and four currencies, on both databases."""
    year = Year(database, 11, 15, 42)
    assert day_by_day(year) == []


@pytest.mark.slow
def test_a_year_that_is_killed_ends_in_the_same_books(lived, tmp_path):
    """The same weeks in one go, killed at fault points and at any moment, have the same canonical export."""
    url = f"sqlite:///{tmp_path / 'killed.db'}"
    database = Database(url, durable=False)
    migrate.upgrade(database)
    year = Year(database, 7, 20, 99)
    assert killed(year, url, 8, days=9) == 8
    assert export(database, year) == export(lived.database, lived)


TAMPERED = {
    "4, 5 intervals": "UPDATE charge SET part_end = date(part_end, '-1 day') WHERE reverses IS NULL",
    "6, 7 proration": "UPDATE charge SET amount = amount + 1",
    "15 totals": "UPDATE invoice_line SET net = net + 1",
    "16 tax": "UPDATE invoice_tax SET tax = tax + 1",
    "18 credit notes": "UPDATE invoice SET total = total * 3 WHERE kind = 'credit-note'",
    "19 credited lines": "UPDATE invoice_line SET amount = amount * 3 WHERE credits_invoice IS NOT NULL",
    "20 ledger": "UPDATE ledger_entry SET amount = amount + 1 WHERE ledger = 'receivable'",
    "21 settled": "UPDATE invoice SET settled_on = NULL",
    "21 receivable": "DELETE FROM payment_allocation",
    "22 allocations": "UPDATE payment SET amount = 1",
    "23 credit": "UPDATE ledger_entry SET amount = -amount WHERE ledger = 'customer-credit'",
    "24 captured": "INSERT INTO chargeback SELECT 'c' || id, id, currency, amount + 1, '', 'open', 'k' || id, "
    "'2026-01-01', '2026-01-01', 'x' FROM payment",
    "27 seals": "UPDATE invoice_line SET description = 'other'",
    "28, 29 numbers": "UPDATE invoice SET sequence = sequence + 10000",
    "30 holds": "UPDATE invoice SET due_on = '2027-01-01'",
    "33 stages": "UPDATE dunning_stage SET stage = stage + 10",
    "wallet": "UPDATE wallet_movement SET amount = amount + 1",
    "25 charges": "UPDATE gateway_attempt SET payment_id = NULL",
    "deferred": "UPDATE deferral SET net = net + 1",
    "closed": "UPDATE ledger_transaction SET booked_on = '2026-01-02' WHERE kind = 'receipt'",
    "36 once": "UPDATE invoice_line SET billable_id = (SELECT max(billable_id) FROM invoice_line)",
}


def test_every_check_has_an_example_here():
    """A check that is added needs a line above."""
    assert set(TAMPERED) == set(year_checks.CHECKS)


@pytest.mark.parametrize("name", TAMPERED)
def test_the_checks_see_what_is_wrong(lived, name):
    """Each check tells of books that were tampered with behind billing's back."""
    with lived.database.read() as conn:
        conn.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        conn.exec_driver_sql(TAMPERED[name])
        assert list(year_checks.CHECKS[name](conn, SPRING)) != []
    with lived.database.read() as conn:
        assert conn.execute(sa.text("SELECT count(*) FROM invoice")).scalar()
