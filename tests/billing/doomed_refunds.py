"""A refund, a chargeback and a move that a fault point may kill; arguments are DATABASE_URL PAYMENT WRONG ACCOUNT."""

import sys
from datetime import date

from billing.refunding import chargebacks, moving, refunds
from core.db import Database
from core.money import Money

DAY = date(2026, 1, 6)


def main() -> None:
    """Do each once."""
    database = Database(sys.argv[1])
    _, _, one, wrong, other = sys.argv
    with database.write() as conn:
        refunds.refund(
            conn, one, Money(3_000, "AUD"), key=f"r:{one}", method="bank", actor="anna", reason="x", on=DAY
        )
    with database.write() as conn:
        chargebacks.chargeback(conn, one, Money(1_000, "AUD"), key=f"c:{one}", actor="bank", on=DAY)
    with database.write() as conn:
        moving.move(conn, wrong, other, actor="anna", reason="x", on=DAY)
    database.close()
