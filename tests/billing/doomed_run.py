"""A bill run that a fault point may kill; its arguments are DATABASE_URL DATE CHUNK WORKERS."""

import sys
from datetime import date

from billing.billrun import run_billing
from core.db import Database
from tests.billing.stage import reader_of


def main() -> None:
    """Run it once."""
    url, on, chunk, workers = sys.argv[1:]
    database = Database(url)
    run_billing(database, reader_of(), date.fromisoformat(on), chunk=int(chunk), workers=int(workers))
    database.close()


if __name__ == "__main__":
    main()
