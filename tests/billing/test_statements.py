"""Statements: they add up on every day, from the books, in every form."""

import csv
import io
from datetime import date, timedelta

import pypdf
import pytest

from billing import crediting, debts, payments
from billing.billrun import run_billing
from billing.errors import AccountUnknown
from billing.papers.errors import StatementNotUsable
from billing.papers.parties import Party, Seller
from billing.papers.pdf import printed, sheet
from billing.papers.statement import Sheet, as_csv, statement
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage

FEB, MARCH = date(2026, 2, 1), date(2026, 3, 1)


@pytest.fixture
def stage(database: Database) -> Stage:
    """Two invoices, a payment in advance, a part payment, a credit note."""
    made = Stage(database)
    made.add()
    _pay(made, "10.00", date(2025, 12, 30))
    run_billing(database, made.reader, START)
    _pay(made, "50.00", date(2026, 1, 20))
    run_billing(database, made.reader, FEB)
    with database.write() as conn:
        parts = {1: Money.parse("20.00", "AUD")}
        number = made.invoices()[0].number
        crediting.credit(conn, number, parts, actor="anna", reason="outage", key=f"{made.entity}:c", on=FEB)
    run_billing(database, made.reader, FEB + timedelta(days=1))
    return made


def _pay(stage: Stage, amount: str, on: date) -> None:
    with stage.database.write() as conn:
        payments.pay(
            conn, stage.account, Money.parse(amount, "AUD"), "bank", f"{stage.entity}:{amount}", on=on
        )


def test_a_month_adds_up(database: Database, stage: Stage):
    """Opening, what happened in its order, closing; by kind, too."""
    with database.read() as conn:
        january = statement(conn, stage.account, START, FEB)
        february = statement(conn, stage.account, FEB, MARCH)
    assert (str(january.opening), str(january.closing)) == ("AUD -10.00", "AUD 26.90")
    assert [(one.on.day, one.kind, str(one.amount), str(one.balance)) for one in january.entries] == [
        (1, "invoice", "AUD 86.90", "AUD 76.90"), (20, "receipt", "AUD -50.00", "AUD 26.90"),
    ]  # fmt: skip
    assert february.opening == january.closing
    assert {kind: str(amount) for kind, amount in february.sums.items()} == {
        "credit-note": "AUD -22.00", "invoice": "AUD 86.90",
    }  # fmt: skip
    assert january.entries[0].reference == stage.invoices()[0].number


def test_every_day_closes_where_the_next_one_opens(database: Database, stage: Stage):
    """And the last one with what is open less the customer's credit."""
    day, balance = date(2025, 12, 25), 0
    with database.read() as conn:
        while day < MARCH:
            found = statement(conn, stage.account, day, day + timedelta(days=1))
            assert found.opening.minor == balance
            balance += sum(one.amount.minor for one in found.entries)
            assert found.closing.minor == balance
            day += timedelta(days=1)
        open_ = sum(one.balance for one in debts.open_balances(conn, stage.account))
        whole = statement(conn, stage.account, date(2025, 1, 1), MARCH)
    assert balance == open_ == whole.closing.minor == 9180
    assert whole.opening.minor == 0


def test_as_csv_and_as_pdf(database: Database, stage: Stage):
    """The same figures; the same bytes again; a reference is never a formula."""
    with database.read() as conn:
        found = statement(conn, stage.account, START, FEB)
    rows = list(csv.reader(io.StringIO(as_csv(found))))
    assert rows[1] == ["2026-01-01", "opening", "", "", "-10.00", "AUD"]
    assert rows[-1] == ["2026-01-31", "closing", "", "", "26.90", "AUD"]
    assert sum(float(row[3]) for row in rows[2:-1]) == pytest.approx(36.90)
    page = sheet(Sheet(statement=found, seller=Seller(name="Op", language="de"), buyer=Party(name="<Ada>")))
    made = printed(page, None, "x", found.last)
    text = pypdf.PdfReader(io.BytesIO(made)).pages[0].extract_text()
    assert all(part in text for part in ("Kontoauszug", "<Ada>", "AUD 26.90", "Rechnung", "Endsaldo"))
    assert made == printed(page, None, "x", found.last)


def test_mistakes_are_told(database: Database, stage: Stage):
    """No account, no days."""
    with database.read() as conn:
        with pytest.raises(AccountUnknown):
            statement(conn, "A-0", START, FEB)
        with pytest.raises(StatementNotUsable, match="has no days"):
            statement(conn, stage.account, FEB, FEB)
