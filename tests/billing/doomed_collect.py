"""A batch of direct debits that a fault point may kill; its arguments are DATABASE_URL ENTITY."""

import sys
from datetime import date

from billing.bank import collecting
from core.crypto import DataKey
from core.db import Database


def main() -> None:
    """Write it once."""
    database = Database(sys.argv[1])
    with database.write() as conn:
        collecting.collect(
            conn, sys.argv[2], date(2026, 1, 12), DataKey(bytes(32)), actor="anna", today=date(2026, 1, 5)
        )
    database.close()
