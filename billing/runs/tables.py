"""Tables of one transaction: a chunk's accounts, items, rules, lines and bills; documents that get their numbers."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_META = sa.MetaData()


def _table(name: str, *columns: "sa.Column[Any]") -> sa.Table:
    return sa.Table(name, _META, *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")


def _text(name: str, *, key: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, primary_key=key, nullable=not key)


def _number(name: str, *, key: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, primary_key=key, autoincrement=False, nullable=not key)


def _day(name: str) -> "sa.Column[Any]":
    return sa.Column(name, sa.Date)


ACCOUNT = _table("run_account", _text("account_id", key=True))
ITEM = _table(
    "run_item",
    _text("account_id"), _text("entity"), _text("currency"), _text("profile"), _number("anchor"),
    _text("item_id"), _text("service"), _text("role"), _text("label"), _number("base"), _text("renews"),
    _day("through"), _day("recalculate_from"),
)  # fmt: skip
ODD = _table("run_odd", _text("account_id"))
RULE = _table(
    "run_rule",
    _text("renews"), _number("anchor"), _number("base"), _day("through"), _text("profile"), _text("currency"),
    _number("seq"), _day("period_start"), _day("period_end"), _day("becomes"), _number("amount"),
    _text("kind"), _text("description"), _text("terms"), _text("category"), _number("millionths"),
    sa.Column("inclusive", sa.Boolean),
)  # fmt: skip
LINE = _table(
    "run_line",
    _number("n"), _text("account_id"), _number("position"), _text("entity"), _text("currency"),
    _text("item_id"), _text("service"), _number("seq"), _day("period_start"), _day("period_end"),
    _day("becomes"), _number("amount"), _text("kind"), _text("description"), _text("terms"),
    _text("category"), _number("millionths"), sa.Column("inclusive", sa.Boolean),
)  # fmt: skip
TAX = _table(
    "run_tax",
    _text("account_id"), _text("entity"), _text("currency"), _text("category"), _number("millionths"),
    sa.Column("inclusive", sa.Boolean), _number("base"), _number("tax"),
)  # fmt: skip
BILL = _table(
    "run_bill",
    _number("n"), _text("account_id", key=True), _text("invoice_id"), _text("entity"), _text("currency"),
    _number("net"), _number("tax"), _number("total"),
)  # fmt: skip
FINAL = _table(
    "run_final",
    _text("invoice_id", key=True), _number("n"), _day("issued_on"), _day("due_on"), _text("seal"),
)  # fmt: skip
NUMBER = _table("run_number", _number("n", key=True), _number("sequence"), _text("number"))
LEDGER = _table(
    "run_ledger", _text("kind"), sa.Column("later", sa.Boolean), _text("ledger")
)  # fmt: skip
BILLING = (ACCOUNT, ITEM, ODD, RULE, LINE, TAX, BILL)
NUMBERING = (FINAL, NUMBER, LEDGER)


def begin(conn: Connection, tables: tuple[sa.Table, ...]) -> None:
    """Make the tables, empty: also a second time in one transaction."""
    end(conn, tables)
    for table in tables:
        table.create(conn, checkfirst=False)
    if conn.dialect.name != "sqlite":
        conn.exec_driver_sql("SET LOCAL jit = off")
        conn.exec_driver_sql("SET LOCAL random_page_cost = 1.1")
        conn.exec_driver_sql("SET LOCAL work_mem = '64MB'")


def end(conn: Connection, tables: tuple[sa.Table, ...]) -> None:
    """Take them away (PostgreSQL also does so at the end of the transaction)."""
    schema = "temp" if conn.dialect.name == "sqlite" else "pg_temp"
    for table in tables:
        conn.exec_driver_sql(f"DROP TABLE IF EXISTS {schema}.{table.name}")


def counted(conn: Connection, *tables: sa.Table) -> None:
    """Let PostgreSQL know how much a table holds by now: it plans better."""
    if conn.dialect.name != "sqlite":
        conn.exec_driver_sql(f"ANALYZE {', '.join(table.name for table in tables)}")
