"""The books as others read them: beancount itself, CSV, and reports that tie to the ledger."""

import csv
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import pytest
from beancount import loader
from beancount.core import inventory, realization
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.year_events import FIRST
from bench.year_world import Year
from billing import ledger
from billing.books import chart, journal, reports
from billing.errors import LedgerAccountUnknown
from billing.kinds import KINDS
from core import migrate
from core.db import Database
from core.money import Money

DAYS = 75


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """Two and a half months of thirty accounts in four currencies: payments, credit notes, taxes inside and out."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('books') / 'busy.db'}", durable=False)
    migrate.upgrade(database)
    year = Year(database, 5, 30, DAYS)
    year.open()
    for offset in range(DAYS):
        year.live(FIRST + timedelta(days=offset))
    yield database
    database.close()


def loaded(database: Database, **given: date):
    """The export as beancount reads it; what it complains of; its balances."""
    with database.read() as conn:
        text = "\n".join(journal.beancount(conn, **given)) + "\n"
    entries, errors, _ = loader.load_string(text)
    balances = {
        account.account: account.balance
        for account in realization.iter_children(realization.realize(entries))
    }
    return entries, errors, balances


@pytest.mark.parametrize("given", [{}, {"since": date(2026, 2, 1), "until": date(2026, 3, 1)}])
def test_beancount_finds_the_exported_ledger_balanced(busy, given):
    """The real beancount reads it without a complaint, and its balances are those of the books by then."""
    entries, errors, balances = loaded(busy, **given)
    assert errors == []
    assert len(entries) > 100
    with busy.read() as conn:
        ours = reports.trial_balance(conn, given.get("until", date(2027, 1, 1)) - timedelta(days=1))
    assert len({one.amount.currency for one in ours}) == 4
    assert any(one.ledger.startswith("deferred:") for one in ours)
    for one in ours:
        units = balances[chart.beancount_name(one.ledger)].get_currency_units(one.amount.currency)
        assert units.number == Decimal(str(one.amount).partition(" ")[2])
    assert sum(balances.values(), inventory.Inventory()).is_empty()


def test_csv_has_every_leg_once(busy):
    """Read back, the legs add up to the balances of the books, currency by currency."""
    with busy.read() as conn:
        rows = list(csv.DictReader(journal.as_csv(conn)))
        ours = ledger.trial_balance(conn)
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row["ledger"], row["currency"]] += Decimal(row["amount"])
    assert {key: Money.parse(str(amount), key[1]).minor for key, amount in sums.items()} == ours


@settings(max_examples=25, deadline=None)
@given(offset=st.integers(-3, DAYS + 30))
def test_invariant_21_receivables_tie_to_the_ledger_at_every_date(busy, offset):
    """Aged balances add up to what the ledger has as receivable, for every account, by the end of any day."""
    day = FIRST + timedelta(days=offset)
    with busy.read() as conn:
        aged = reports.aged_receivables(conn, day)
        for one in aged:
            assert sum(one.ages.values()) == one.together.minor
            booked = ledger.balance(conn, ledger.RECEIVABLE, one.account, one.together.currency, day)
            assert booked == one.together
        balances = {(b.ledger, b.amount.currency): b.amount.minor for b in reports.trial_balance(conn, day)}
    for currency in {currency for _, currency in balances}:
        owed = sum(one.together.minor for one in aged if one.together.currency == currency)
        assert owed == balances.get(("receivable", currency), 0)
        assert sum(amount for (_, other), amount in balances.items() if other == currency) == 0


def test_the_tax_report_ties_to_tax_payable(busy):
    """What documents say is what the books owe the state, in every currency."""
    with busy.read() as conn:
        told = reports.tax(conn, FIRST, date(2027, 1, 1))
        balances = ledger.trial_balance(conn)
    for currency in {one.tax.currency for one in told}:
        said = sum(one.tax.minor for one in told if one.tax.currency == currency)
        owed = sum(
            minor for (name, c), minor in balances.items() if name.startswith("tax-payable") and c == currency
        )
        assert said == -owed


def test_every_kind_of_line_has_an_account_in_the_chart():
    """Nothing can be booked that an export would stumble over; what the chart has not is told by name."""
    for kind in KINDS.values():
        assert chart.beancount_name(kind.ledger).startswith(("Income:", "Liabilities:"))
    assert chart.beancount_name("tax-payable:") == "Liabilities:Tax-payable:None"
    assert chart.beancount_name("cash:bank transfer") == "Assets:Cash:Bank-transfer"
    with pytest.raises(LedgerAccountUnknown, match="has no 'petty'"):
        chart.type_of("petty")
