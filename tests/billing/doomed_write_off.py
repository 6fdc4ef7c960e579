"""A write-off that a fault point may kill; its arguments are DATABASE_URL INVOICE."""

import sys

from billing.writeoffs import writing
from core.db import Database


def main() -> None:
    """Write it off once."""
    url, invoice = sys.argv[1:]
    with Database(url).write() as conn:
        writing.write(conn, invoice, actor="anna", reason="insolvent")
