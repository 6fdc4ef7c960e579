"""A bill run of the bench's world in a process that may be killed: `python -m bench.billing_doomed URL`."""

import sys

from bench import billing_world
from billing.billrun import run_billing
from core.db import Database

if __name__ == "__main__":
    database = Database(sys.argv[1])
    run_billing(database, billing_world.reader(), billing_world.ON)
    database.close()
