"""Counts what a bill run left in a database. Knows nothing of our code: SQL.

`python bench/billing_count.py DATABASE`: a path of SQLite or a libpq string.
"""

import sqlite3
import sys
from typing import Any

QUESTIONS = {
    "accounts": "SELECT count(*) FROM account",
    "invoices": "SELECT count(*) FROM invoice WHERE state = 'final'",
    "lines": "SELECT count(*) FROM invoice_line",
    "drafts left": "SELECT count(*) FROM invoice WHERE state = 'draft'",
    "items still due": "SELECT count(*) FROM subscription_item WHERE charged_through IS NULL "
    "OR charged_through <= (SELECT max(billed_on) FROM invoice) OR recalculate_from IS NOT NULL",
    "billables still waiting": "SELECT count(*) FROM billable WHERE invoice_id IS NULL",
    "ledger off zero": "SELECT coalesce(sum(abs(rest)), 0) FROM (SELECT sum(amount) AS rest FROM ledger_entry "
    "GROUP BY transaction_id, currency) AS sums",
    "ledger in sum": "SELECT coalesce(sum(amount), 0) FROM ledger_entry",
    "series with a gap": "SELECT count(*) FROM (SELECT legal_entity FROM invoice WHERE sequence IS NOT NULL "
    "GROUP BY legal_entity, kind HAVING count(*) <> max(sequence) OR min(sequence) <> 1 "
    "OR count(*) <> count(DISTINCT number)) AS gaps",
    "invoices not their lines": "SELECT count(*) FROM invoice i WHERE net <> "
    "(SELECT sum(net) FROM invoice_line l WHERE l.invoice_id = i.id) OR total <> net + "
    "(SELECT sum(tax) FROM invoice_tax t WHERE t.invoice_id = i.id)",
    "invoices not in the books": "SELECT count(*) FROM invoice i WHERE state = 'final' AND total <> 0 AND NOT EXISTS "
    "(SELECT 1 FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id "
    "WHERE t.kind = i.kind AND t.source = i.id AND e.amount = i.total)",
    "intervals billed twice": "SELECT count(*) FROM (SELECT item_id FROM charge WHERE kind = 'recurring' AND id NOT IN "
    "(SELECT reverses FROM charge WHERE reverses IS NOT NULL) GROUP BY item_id, part_start HAVING count(*) > 1) AS two",
    "accounts billed twice": "SELECT count(*) FROM (SELECT account_id FROM invoice WHERE state <> 'void' "
    "GROUP BY account_id, billed_on HAVING count(*) > 1) AS two",
}
TOLD = ("accounts", "invoices", "lines")
"""What is no mistake whatever the number."""


def count(database: str) -> dict[str, int]:
    """Each question's answer."""
    connection: Any
    if "=" in database:
        import psycopg

        connection = psycopg.connect(database)
    else:
        connection = sqlite3.connect(database)
    try:
        return {name: int(connection.execute(query).fetchone()[0]) for name, query in QUESTIONS.items()}
    finally:
        connection.close()


if __name__ == "__main__":
    told = count(sys.argv[1])
    print(", ".join(f"{name} {number}" for name, number in told.items()))
    sys.exit(any(number for name, number in told.items() if name not in TOLD))
