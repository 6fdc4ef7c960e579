"""A file of statements comes in: what came before adds nothing; a gap is told.

A statement is stored with its lines at once. Then each line does what it is for in a transaction of its own, so that
nobody waits for a long statement and no two lock accounts crosswise. Killed in between, the same file goes on; a line
that cannot be done is left to a person.
"""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.bank import applying
from billing.bank.applying import PENDING, UNMATCHED, Outcome
from billing.bank.checks import is_iban, masked
from billing.bank.errors import DataKeyNeeded, StatementWrong
from billing.bank.models import entry as entry_table
from billing.bank.models import known_iban
from billing.bank.models import statement as statement_table
from billing.bank.statement import Line, Statement
from core import clock, db, events, faults, ids
from core.crypto import DataKey, fingerprint, seal
from core.db import Database
from core.errors import Terminal
from core.money import Money

IBAN = "iban"
P_STATEMENT = faults.declare("billing.before_statement_commit")
P_LINE = faults.declare("billing.before_bank_line_commit")
_CHUNK = 500


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What a file did. `states`: matched, unmatched, not-ours -> lines; `again`: statements or lines that were known.

    `gaps`: sentences about statements of this account that are missing.
    """

    statements: int
    again: int
    states: dict[str, int]
    lines: tuple[str, ...]
    gaps: tuple[str, ...]


def print_of(key: DataKey, iban: str) -> str | None:
    """An IBAN's fingerprint; None where there is none."""
    return fingerprint(key, iban, IBAN) if is_iban(iban) else None


def import_statements(
    database: Database, found: list[Statement], path: str, key: DataKey | None, *, actor: str
) -> Imported:
    """Import the statements of a file. Raises DataKeyNeeded, StatementWrong."""
    if key is None:
        raise DataKeyNeeded
    new, again, lines = 0, 0, []
    states: dict[str, int] = {}
    for one in sorted(found, key=lambda one: (one.closed_on, one.number or 0)):
        with database.write() as conn:
            is_new, before = _store(conn, one, path, key, actor)
            faults.point(P_STATEMENT)
        new, again = new + is_new, again + before
        for line, mine in zip(one.lines, one.keys(), strict=True):
            outcome = _do(database, one.account, line, mine, key, actor)
            if outcome is not None:
                states[outcome.state] = states.get(outcome.state, 0) + 1
                money = Money(line.amount, line.currency)
                lines.append(f"{line.booked_on} {money!s:>14} {outcome.state:<10} {outcome.told}")
    with database.read() as conn:
        missing = [gap for account in sorted({one.account for one in found}) for gap in gaps(conn, account)]
    return Imported(statements=new, again=again, states=states, lines=tuple(lines), gaps=tuple(missing))


def gaps(conn: Connection, account: str) -> list[str]:
    """Where a statement of an account of ours is missing: an opening balance that is not the closing one before."""
    query = sa.select(statement_table).where(
        statement_table.c.account == account, statement_table.c.closing.is_not(None)
    )
    order = (statement_table.c.closed_on, statement_table.c.number, statement_table.c.recorded_at)
    told, before = [], None
    for row in conn.execute(query.order_by(*order)):
        if before is not None and row.opening is not None and row.opening != before.closing:
            amounts = [Money(one, row.currency) for one in (before.closing, row.opening)]
            told.append(
                f"{masked(account)}: statement {row.statement_id} of {row.closed_on} opens with {amounts[1]}, but "
                f"{before.statement_id} of {before.closed_on} closes with {amounts[0]}: one between them is missing"
            )
        before = row
    return told


def _store(conn: Connection, one: Statement, path: str, key: DataKey, actor: str) -> tuple[bool, int]:
    """Whether it is new (or has new lines), and how many statements or lines were known."""
    statement_id = ids.new_id("stm")
    values = {
        "id": statement_id, "account": one.account, "statement_id": one.id, "number": one.number,
        "currency": one.currency, "opening": one.opening, "closing": one.closing, "closed_on": one.closed_on,
        "digest": one.digest(), "file": path[-200:], "recorded_at": clock.now(), "actor": actor,
    }  # fmt: skip
    keys = one.keys()
    old = _known_keys(conn, keys)
    fresh = [(line, mine) for line, mine in zip(one.lines, keys, strict=True) if mine not in old]
    if one.overlaps and not fresh:
        return False, len(old)
    db.upsert(conn, statement_table, [values], ["account", "statement_id", "closed_on"], [])
    known = _known(conn, one)
    if known.digest != one.digest():
        why = "it was imported before and said something else; ask the bank which one is right"
        raise StatementWrong(path, one.id, why)
    if known.id != statement_id:
        return False, 1
    rows = [_row(statement_id, line, mine, key, actor) for line, mine in fresh]
    db.upsert(conn, entry_table, rows, ["key"], [])
    events.emit(conn, "bank.statement", statement_id, {"lines": len(rows)}, actor=actor)
    return True, len(old)


def _do(database: Database, own: str, line: Line, key: str, data_key: DataKey, actor: str) -> Outcome | None:
    """Do what a line is for, if nobody has; None: it is done already."""
    pending = sa.and_(entry_table.c.key == key, entry_table.c.state == PENDING)
    with database.read() as conn:
        if conn.execute(sa.select(entry_table.c.id).where(pending)).first() is None:
            return None
    with database.write() as conn:
        entry_id = conn.execute(db.lock_row(conn, sa.select(entry_table.c.id).where(pending))).scalar()
        if entry_id is None:
            return None
        iban_print = print_of(data_key, line.iban)
        outcome = _apply(conn, line, own, key, iban_print, actor)
        values = {
            "state": outcome.state, "rule": outcome.rule, "confidence": outcome.confidence, "told": outcome.told,
            "account_id": outcome.account, "effect": outcome.effect, "decided_by": actor,
        }  # fmt: skip
        conn.execute(sa.update(entry_table).where(entry_table.c.id == entry_id).values(**values))
        if line.amount > 0 and outcome.account is not None:
            remember(conn, iban_print, outcome.account, entry_id)
        faults.point(P_LINE)
    return outcome


def _apply(conn: Connection, line: Line, own: str, key: str, iban_print: str | None, actor: str) -> Outcome:
    try:
        with conn.begin_nested():
            return applying.apply(conn, line, own, key, iban_print, actor)
    except Terminal as error:
        return Outcome(UNMATCHED, str(error))


def _known(conn: Connection, one: Statement) -> Any:
    query = sa.select(statement_table).where(
        statement_table.c.account == one.account, statement_table.c.statement_id == one.id,
        statement_table.c.closed_on == one.closed_on,
    )  # fmt: skip
    return conn.execute(query).first()


def _known_keys(conn: Connection, keys: list[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(keys), _CHUNK):
        query = sa.select(entry_table.c.key).where(entry_table.c.key.in_(keys[start : start + _CHUNK]))
        known |= set(conn.execute(query).scalars())
    return known


def _row(statement_id: str, line: Line, key: str, data_key: DataKey, actor: str) -> dict[str, Any]:
    entry_id = ids.new_id("ent")
    return {
        "id": entry_id, "statement_id": statement_id, "key": key, "place": line.place,
        "booked_on": line.booked_on, "currency": line.currency, "amount": line.amount,
        "end_to_end": line.end_to_end[:80], "text": " ".join([*line.references, line.text]).strip(),
        "name": line.name[:140],
        "iban_sealed": seal(data_key, line.iban, f"bank_entry/{entry_id}", IBAN) if line.iban else None,
        "iban_shown": masked(line.iban) if line.iban else None, "iban_print": print_of(data_key, line.iban),
        "reason": line.reason[:35], "state": PENDING, "rule": "", "confidence": 0,
        "told": "the import was interrupted; import the file again", "decided_by": actor,
    }  # fmt: skip


def remember(conn: Connection, iban_print: str | None, account: str, entry_id: str) -> None:
    """Payments from this IBAN were for this account."""
    if iban_print is not None:
        accounts.get(conn, account)
        row = {"iban_print": iban_print, "account_id": account, "entry_id": entry_id}
        db.upsert(conn, known_iban, [row], ["iban_print", "account_id"], [])
