"""A price change that a fault point may kill; its arguments are DATABASE_URL DAY."""

import sys
from datetime import date

from billing.prices import moving
from core.db import Database
from intents.config.schema import Config
from intents.plan.schema import Plan
from intents.reader import MemoryReader
from tests.billing.selling import OPERATOR
from tests.billing.stage import PLANS, price


def change(database: Database, on: date) -> moving.Applied:
    """Move everybody who has the plan `fibre` to its version 2026b, two accounts at a time."""
    prices = (*PLANS["fibre"].prices, price("2026b", "85.00", date(2026, 1, 1)))
    sold = Plan(type="internet", name="Fibre 500", prices=prices)
    config = Config(schema=1, operator=OPERATOR)
    reader = MemoryReader.of([("config", "trunkline", config), ("plan", "fibre", sold)])
    return moving.apply(database, reader, "fibre", "2026b", on, actor="anna", chunk=2)


def main() -> None:
    """Apply it once."""
    change(Database(sys.argv[1]), date.fromisoformat(sys.argv[2]))
