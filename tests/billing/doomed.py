"""A billing day that a fault point may kill; its arguments are DATABASE_URL ACCOUNT SERVICE ENTITY."""

import sys
from datetime import date

from billing import payments
from billing.billrun import run_billing
from billing.dunning import run_dunning
from core.db import Database
from core.money import Money
from tests.billing.stage import a_service, reader_of


def live(database: Database, account: str, service: str, entity: str) -> None:
    """Bill January, dun in February, pay; every step may be done again."""
    reader = reader_of({service: a_service()})
    run_billing(database, reader, date(2026, 1, 1))
    run_dunning(database, reader, date(2026, 2, 1))
    with database.write() as conn:
        payments.pay(conn, account, Money(8690, "AUD"), "cash", f"{entity}:doomed", on=date(2026, 2, 1))


def main() -> None:
    """Live it once."""
    live(Database(sys.argv[1]), *sys.argv[2:])
