"""Recognition that a fault point may kill; its arguments are DATABASE_URL UNTIL ENTITY."""

import sys
from datetime import date

from billing.closing.recognition import recognise
from core.db import Database


def main() -> None:
    """Recognise once."""
    url, until, entity = sys.argv[1:]
    recognise(Database(url), date.fromisoformat(until), entity=entity)
