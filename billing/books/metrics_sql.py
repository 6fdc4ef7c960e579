"""The statements behind `metrics`: timelines become intervals of one price, intervals stand on the last days of months.

An interval's price is that of the last event that set one; it counts while the last of activation and cessation is an
activation, and is worth nothing while the last word on blocking is a block: the folding of `timeline`, as windows.
"""

from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_META = sa.MetaData()


def _table(name: str, *columns: "sa.Column[Any]") -> sa.Table:
    return sa.Table(name, _META, *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")


DAY = _table("metric_day", sa.Column("day", sa.Date, primary_key=True), sa.Column("following", sa.Date))
RATE = _table(
    "metric_rate",
    sa.Column("day", sa.Date), sa.Column("profile", sa.Text), sa.Column("category", sa.Text),
    sa.Column("millionths", sa.BigInteger),
)  # fmt: skip
INTERVAL = _table(
    "metric_interval",
    sa.Column("account_id", sa.Text), sa.Column("currency", sa.Text), sa.Column("profile", sa.Text),
    sa.Column("plan", sa.Text), sa.Column("category", sa.Text), sa.Column("price", sa.BigInteger),
    sa.Column("months", sa.BigInteger), sa.Column("since", sa.Date), sa.Column("until", sa.Date),
)  # fmt: skip
STATE = _table(
    "metric_state",
    sa.Column("day", sa.Date), sa.Column("account_id", sa.Text), sa.Column("currency", sa.Text),
    sa.Column("plan", sa.Text), sa.Column("items", sa.BigInteger), sa.Column("mrr", sa.BigInteger),
)  # fmt: skip
GROUP = _table(
    "metric_group",
    sa.Column("day", sa.Date), sa.Column("account_id", sa.Text), sa.Column("leader", sa.Text),
)  # fmt: skip
_TABLES = (DAY, RATE, INTERVAL, STATE, GROUP)
_SAID = {
    "sqlite": {"PRICE": "json_extract(t.terms, '$.price.minor')", "PLAN": "json_extract(t.terms, '$.plan')",
               "MONTHS": "coalesce(json_extract(t.terms, '$.months'), 1)",
               "TAX": "coalesce(json_extract(t.terms, '$.tax'), '')"},
    "postgresql": {"PRICE": "CAST(CAST(t.terms AS json)->'price'->>'minor' AS bigint)",
                   "PLAN": "CAST(t.terms AS json)->>'plan'",
                   "MONTHS": "coalesce(CAST(CAST(t.terms AS json)->>'months' AS bigint), 1)",
                   "TAX": "coalesce(CAST(t.terms AS json)->>'tax', '')"},
}  # fmt: skip

_INTERVALS = """
INSERT INTO metric_interval
WITH e AS (
  SELECT item_id, effective, kind, terms,
    row_number() OVER (PARTITION BY item_id ORDER BY effective, seq) AS n
  FROM subscription_event WHERE effective <= :last
), s AS (
  SELECT item_id, n, effective AS since, terms,
    lead(effective) OVER w AS until,
    max(CASE kind WHEN 'activated' THEN 2 * n + 1 WHEN 'ceased' THEN 2 * n END) OVER w AS life,
    max(CASE kind WHEN 'activated' THEN n WHEN 'changed' THEN n END) OVER w AS priced,
    max(CASE kind WHEN 'blocked' THEN 2 * n + 1 WHEN 'changed' THEN 0 ELSE 2 * n END) OVER w AS gate
  FROM e WINDOW w AS (PARTITION BY item_id ORDER BY n)
), t AS (
  SELECT item_id, since, until, life, gate,
    first_value(terms) OVER (PARTITION BY item_id, priced ORDER BY n) AS terms
  FROM s
)
SELECT a.id, a.currency, a.tax_profile, {PLAN}, {TAX}, CASE WHEN t.gate % 2 = 1 THEN 0 ELSE {PRICE} END, {MONTHS},
  t.since, t.until
FROM t
JOIN subscription_item i ON i.id = t.item_id
JOIN subscription b ON b.id = i.subscription_id
JOIN account a ON a.id = b.account_id
WHERE t.life % 2 = 1 AND (t.until IS NULL OR t.until > t.since)
"""
# Odd numbers say yes: the last activation or cessation was an activation, the last word on blocking was a block.

_STATES = """
INSERT INTO metric_state
SELECT day, account_id, currency, plan, count(*), CAST(sum(
  CASE WHEN price < 0 THEN -1 ELSE 1 END * ((2 * abs(price) * 1000000 + whole) / (2 * whole))) AS bigint)
FROM (
  SELECT d.day, i.account_id, i.currency, i.plan, i.price, (1000000 + coalesce(r.millionths, 0)) * i.months AS whole
  FROM metric_day d JOIN metric_interval i ON i.since <= d.day AND (i.until IS NULL OR i.until > d.day)
  LEFT JOIN metric_rate r ON r.day = d.day AND r.profile = i.profile AND r.category = i.category
) AS worth GROUP BY day, account_id, currency, plan
"""

_MOVEMENTS = """
WITH stands AS (
  SELECT day, account_id, currency, CAST(sum(mrr) AS bigint) AS mrr FROM metric_state
  GROUP BY day, account_id, currency
), moves AS (
  SELECT day, account_id, currency, CAST(sum(opening) AS bigint) AS opening, CAST(sum(closing) AS bigint) AS closing,
    sum(was) AS was, sum(stays) AS stays
  FROM (
    SELECT d.following AS day, s.account_id, s.currency, s.mrr AS opening, 0 AS closing, 1 AS was, 0 AS stays
    FROM stands s JOIN metric_day d ON d.day = s.day WHERE d.following IS NOT NULL
    UNION ALL
    SELECT s.day, s.account_id, s.currency, 0, s.mrr, 0, 1
    FROM stands s JOIN metric_day d ON d.following = s.day
  ) AS both_ends GROUP BY day, account_id, currency
), begun AS (
  SELECT account_id, min(since) AS first FROM metric_interval GROUP BY account_id
), told AS (
  SELECT m.day, m.currency, sum(m.opening) AS opening, sum(m.closing) AS closing, sum(m.was) AS was,
    sum(m.stays) AS stays, min(d.day) AS before, min(b.first) AS first,
    sum(CASE WHEN m.was = 0 AND b.first > d.day THEN 1 ELSE 0 END) AS came,
    sum(CASE WHEN m.was = 0 AND b.first <= d.day THEN 1 ELSE 0 END) AS back,
    sum(CASE WHEN m.stays = 0 THEN 1 ELSE 0 END) AS gone
  FROM moves m JOIN metric_day d ON d.following = m.day JOIN begun b ON b.account_id = m.account_id
  LEFT JOIN metric_group g ON g.day = m.day AND g.account_id = m.account_id
  GROUP BY m.day, m.currency, coalesce(g.leader, m.account_id)
), netted AS (
  SELECT told.*, CASE WHEN gone < came THEN gone ELSE came END AS for_new,
    CASE WHEN gone <= came THEN 0 WHEN gone - came < back THEN gone - came ELSE back END AS for_back
  FROM told
)
SELECT day, currency, sum(opening) AS opening, sum(closing) AS closing,
  sum(CASE WHEN was = 0 AND first > before THEN closing ELSE 0 END) AS new,
  sum(CASE WHEN was = 0 AND first <= before THEN closing ELSE 0 END) AS reactivation,
  sum(CASE WHEN was > 0 AND stays > 0 AND closing > opening THEN closing - opening ELSE 0 END) AS expansion,
  sum(CASE WHEN was > 0 AND stays > 0 AND closing < opening THEN opening - closing ELSE 0 END) AS contraction,
  sum(CASE WHEN stays = 0 THEN opening ELSE 0 END) AS churn,
  sum(was) AS accounts_opening, sum(stays) AS accounts_closing, sum(came - for_new) AS accounts_new,
  sum(back - for_back) AS accounts_reactivated, sum(gone - for_new - for_back) AS accounts_churned
FROM netted GROUP BY day, currency ORDER BY day, currency
"""
# Accounts between which a service went in a month move as one (metric_group): one that came for one that is gone.

_TRANSFERS = """
SELECT account_id, following, left_on FROM (
  SELECT account_id, left_on, lead(account_id) OVER (PARTITION BY service ORDER BY created_at, id) AS following
  FROM subscription WHERE service IN (SELECT service FROM subscription WHERE left_on > :first AND left_on <= :last)
) AS legs WHERE left_on > :first AND left_on <= :last AND following IS NOT NULL ORDER BY left_on
"""


def begin(conn: Connection) -> None:
    """Make the tables of this transaction, empty."""
    end(conn)
    for table in _TABLES:
        table.create(conn, checkfirst=False)
    if conn.dialect.name != "sqlite":
        conn.exec_driver_sql("SET LOCAL jit = off")
        conn.exec_driver_sql("SET LOCAL work_mem = '128MB'")


def end(conn: Connection) -> None:
    """Take them away."""
    schema = "temp" if conn.dialect.name == "sqlite" else "pg_temp"
    for table in _TABLES:
        conn.exec_driver_sql(f"DROP TABLE IF EXISTS {schema}.{table.name}")


def fill(conn: Connection, last: date) -> None:
    """Fold the timelines until a day, and stand them on the days."""
    words = _SAID[conn.dialect.name]
    statement = sa.text(_INTERVALS.format(**words)).bindparams(sa.bindparam("last", last, type_=sa.Date))
    conn.execute(statement)
    _counted(conn, DAY, RATE, INTERVAL)
    conn.execute(sa.text(_STATES))
    _counted(conn, STATE)


def transfers(conn: Connection, first: date, last: date) -> list[Any]:
    """(account, the one that its service went to, day) of every transfer after `first` and until `last`."""
    days = [sa.bindparam("first", first, type_=sa.Date), sa.bindparam("last", last, type_=sa.Date)]
    query = sa.text(_TRANSFERS).bindparams(*days).columns(left_on=sa.Date)
    return list(conn.execute(query).all())


def movements(conn: Connection) -> list[Any]:
    """A row for each month and currency."""
    return list(conn.execute(sa.text(_MOVEMENTS)).mappings())


def _counted(conn: Connection, *tables: sa.Table) -> None:
    if conn.dialect.name != "sqlite":
        conn.exec_driver_sql(f"ANALYZE {', '.join(table.name for table in tables)}")
