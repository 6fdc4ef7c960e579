"""A close that a fault point may kill; its arguments are DATABASE_URL UNTIL ENTITY."""

import sys
from datetime import date

from billing.closing import closes
from core.db import Database


def main() -> None:
    """Close once."""
    url, until, entity = sys.argv[1:]
    closes.close(Database(url), date.fromisoformat(until), entity=entity, actor="anna")
