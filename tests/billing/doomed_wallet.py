"""Prepaid, a deposit, a plan change, killed on the way; DATABASE_URL ACCOUNT PREPAID SERVICE DEPOSIT ENTRY KEY."""

import sys
from datetime import date

from billing.deposits import deposits
from billing.deposits.errors import DepositNotUsable
from billing.wallet import topping
from billing.wallet.running import run_prepaid
from core.db import Database
from core.money import Money
from crm.changes import performing
from tests.billing.stage import a_service, reader_of
from tests.billing.test_wallet import PLANS


def live(database: Database, *args: str) -> None:
    """Top up, run, use the deposit, change the plan; every step may be done again."""
    account, paid, service, deposit, entry, key = args
    reader = reader_of({paid: a_service(plan="pre"), service: a_service()}, PLANS)
    with database.write() as conn:
        topping.top_up(conn, account, Money(3300, "AUD"), "cash", key, actor="t", on=date(2026, 1, 31))
    run_prepaid(database, reader, date(2026, 2, 28))
    try:
        with database.write() as conn:
            deposits.apply(conn, deposit, actor="t", on=date(2026, 2, 28))
    except DepositNotUsable:
        pass  # it was used before the kill
    performing.perform(database, reader, entry)


def main() -> None:
    """Live it once."""
    live(Database(sys.argv[1]), *sys.argv[2:])
