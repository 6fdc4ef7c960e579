"""What a chunk does in SQL, for both databases.

`HEX6(n)`: six hexadecimal digits, which sort as their numbers. `BYTES(x)`: x, to be sorted as Python sorts texts.
"""

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, CursorResult

_CALL = re.compile(r"(HEX6|BYTES)\(([a-z.]+)\)")
_WRITTEN = {
    "sqlite": {"HEX6": "printf('%06X', {})", "BYTES": "{}"},
    "postgresql": {"HEX6": "lpad(upper(to_hex({})), 6, '0')", "BYTES": '{} COLLATE "C"'},
}

ITEMS = """
INSERT INTO run_item
SELECT a.id, a.legal_entity, a.currency, a.tax_profile, a.anchor, i.id, s.service, i.role, i.label,
  i.cadence_base % coalesce(t.months, 1), i.renews, i.charged_through, i.recalculate_from
FROM run_account r
JOIN account a ON a.id = r.account_id
JOIN subscription s ON s.account_id = a.id
JOIN subscription_item i ON i.subscription_id = s.id
LEFT JOIN pinned_terms t ON t.id = i.renews
WHERE CASE WHEN i.charged_through = :over AND i.recalculate_from IS NULL THEN 0 ELSE 1 END = 1
"""
# As a CASE, or SQLite would look through the index of `charged_through` for everybody's items, chunk by chunk.

ODD = """
INSERT INTO run_odd
SELECT account_id FROM run_item
WHERE renews IS NULL OR through IS NULL OR recalculate_from IS NOT NULL
UNION
SELECT r.account_id FROM run_account r JOIN billable b ON b.account_id = r.account_id
WHERE b.invoice_id IS NULL AND b.billed_from <= :on
UNION
SELECT r.account_id FROM run_account r JOIN bill_park p ON p.account_id = r.account_id
UNION
SELECT r.account_id FROM run_account r JOIN tax_exemption x ON x.account_id = r.account_id
UNION
SELECT account_id FROM run_item WHERE profile IN (
  SELECT profile FROM tax_surcharge WHERE valid_from <= :on UNION SELECT profile FROM tax_engine WHERE engine <> ''
)
UNION
SELECT i.account_id FROM run_item i JOIN charge c ON c.item_id = i.item_id AND c.period_start >= i.through
WHERE i.through <= :on
"""

WANTED = """
SELECT DISTINCT renews, anchor, base, through, profile, currency FROM run_item
WHERE through <= :on AND account_id NOT IN (SELECT account_id FROM run_odd)
"""

NO_RULE = """
INSERT INTO run_odd
SELECT DISTINCT i.account_id FROM run_item i LEFT JOIN run_rule r
  ON r.renews = i.renews AND r.anchor = i.anchor AND r.base = i.base AND r.through = i.through
  AND r.profile = i.profile AND r.currency = i.currency AND r.seq = 0
WHERE i.through <= :on AND r.seq IS NULL AND i.account_id NOT IN (SELECT account_id FROM run_odd)
"""

LINES = """
INSERT INTO run_line
SELECT row_number() OVER (ORDER BY i.account_id, i.service, i.role, i.label, r.seq), i.account_id,
  row_number() OVER (PARTITION BY i.account_id ORDER BY i.service, i.role, i.label, r.seq),
  i.entity, i.currency, i.item_id, i.service, r.seq, r.period_start, r.period_end, r.becomes, r.amount, r.kind,
  r.description, r.terms, r.category, r.millionths, r.inclusive
FROM run_item i JOIN run_rule r
  ON r.renews = i.renews AND r.anchor = i.anchor AND r.base = i.base AND r.through = i.through
  AND r.profile = i.profile AND r.currency = i.currency
WHERE i.through <= :on AND i.account_id NOT IN (SELECT account_id FROM run_odd)
"""

UNUSUAL = """
INSERT INTO run_odd
SELECT account_id FROM run_line GROUP BY account_id
HAVING count(*) > :lines OR sum(amount) > :most
  OR sum(amount * (1000000 + millionths) + CASE WHEN amount > 0 THEN 1000000 ELSE 0 END)
     > :factor * 1000000 * sum(CASE WHEN seq = 0 THEN amount ELSE 0 END)
"""

DROP_ODD = "DELETE FROM run_line WHERE account_id IN (SELECT account_id FROM run_odd)"

TAXES = """
INSERT INTO run_tax
SELECT account_id, entity, currency, category, millionths, inclusive,
  CASE WHEN inclusive THEN listed - tax ELSE listed END, tax
FROM (
  SELECT account_id, entity, currency, category, millionths, inclusive, listed,
    CASE WHEN inclusive THEN (2 * listed * millionths + 1000000 + millionths) / (2 * (1000000 + millionths))
    ELSE (2 * listed * millionths + 1000000) / 2000000 END AS tax
  FROM (
    SELECT account_id, entity, currency, category, millionths, inclusive, CAST(sum(amount) AS BIGINT) AS listed
    FROM run_line GROUP BY account_id, entity, currency, category, millionths, inclusive
  ) AS sums
) AS taxed
"""

BILLS = """
INSERT INTO run_bill
SELECT n, account_id, 'inv_' || :stamp || HEX6(n), entity, currency, net, tax, net + tax
FROM (
  SELECT row_number() OVER (ORDER BY account_id) AS n, account_id, entity, currency,
    CAST(sum(base) AS BIGINT) AS net, CAST(sum(tax) AS BIGINT) AS tax
  FROM run_tax GROUP BY account_id, entity, currency
) AS bills
"""

CHARGES = """
INSERT INTO charge (id, account_id, item_id, kind, period_start, period_end, part_start, part_end, revision,
  amount, terms, tax_category, tax_millionths, tax_inclusive)
SELECT 'chg_' || :stamp || HEX6(n), account_id, item_id, kind, period_start, period_end, period_start, period_end,
  0, amount, terms, category, millionths, inclusive
FROM run_line ORDER BY n
"""

INVOICES = """
INSERT INTO invoice (id, account_id, kind, state, legal_entity, billed_on, currency, net, tax, total, run_id)
SELECT invoice_id, account_id, 'invoice', 'draft', entity, :on, currency, net, tax, total, :run
FROM run_bill ORDER BY n
"""

INVOICE_LINES = """
INSERT INTO invoice_line (invoice_id, position, charge_id, kind, service, period_start, period_end, description,
  amount, net, tax_category, tax_millionths, tax_inclusive)
SELECT b.invoice_id, l.position, 'chg_' || :stamp || HEX6(l.n), l.kind, l.service, l.period_start, l.period_end,
  l.description, l.amount,
  CASE WHEN NOT l.inclusive THEN l.amount ELSE
    l.upto - (2 * l.upto * l.millionths + 1000000 + l.millionths) / (2 * (1000000 + l.millionths))
    - (l.upto - l.amount
       - (2 * (l.upto - l.amount) * l.millionths + 1000000 + l.millionths) / (2 * (1000000 + l.millionths)))
  END,
  l.category, l.millionths, l.inclusive
FROM (
  SELECT *, CAST(CASE WHEN NOT inclusive THEN 0 ELSE
    sum(amount) OVER (PARTITION BY account_id, category, millionths, inclusive ORDER BY position)
  END AS BIGINT) AS upto
  FROM run_line
) AS l JOIN run_bill b ON b.account_id = l.account_id
ORDER BY l.n
"""

INVOICE_TAXES = """
INSERT INTO invoice_tax (invoice_id, category, millionths, inclusive, base, tax)
SELECT b.invoice_id, t.category, t.millionths, t.inclusive, t.base, t.tax
FROM run_tax t JOIN run_bill b ON b.account_id = t.account_id
"""

ADVANCE = """
UPDATE subscription_item SET charged_through = l.becomes
FROM run_line l WHERE subscription_item.id = l.item_id AND l.seq = 0
"""

STORE = (CHARGES, INVOICES, INVOICE_LINES, INVOICE_TAXES, ADVANCE)


def run(conn: Connection, statement: str, **values: Any) -> CursorResult[Any]:
    """Run one of them; only the values that it names are bound."""
    calls = _WRITTEN[conn.dialect.name]
    written = _CALL.sub(lambda found: calls[found[1]].format(found[2]), statement)
    named = {name: value for name, value in values.items() if re.search(rf":{name}\b", written)}
    typed = [value for value in named.values() if isinstance(value, sa.BindParameter)]
    plain = {name: value for name, value in named.items() if not isinstance(value, sa.BindParameter)}
    return conn.execute(sa.text(written).bindparams(*typed, **plain))
