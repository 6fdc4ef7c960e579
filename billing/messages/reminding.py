"""Reminders before the due date and announcements of debits: written down once, in the chunk's transaction; then sent.

Each account by its own local date, or all by the date that a run is for.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts
from billing.accounts import Account
from billing.bank import mandates
from billing.bank.models import creditor, mandate
from billing.gateways.models import autopay
from billing.messages.choosing import Chosen, Debit, choose, is_worth
from billing.messages.facts import Facts
from billing.messages.models import message
from billing.models import account, invoice
from billing.stages import Debt, Policy
from core import clock, db, events, faults, ids
from core.db import Database

WAITING = "waiting"
_CHUNK = 500
_MARGIN = timedelta(days=40)
"""How much earlier a calendar of days off may send what is to come."""
_ZONES = timedelta(hours=14)
P_REMINDED = faults.declare("billing.before_reminders_commit")


def remind(database: Database, on: date | None = None, *, dry: bool = False) -> dict[str, int]:
    """Write what is to be told today (`on`: for all accounts; default: where each lives); returns counts by purpose.

    Again writes nothing more. `dry`: only counts.
    """
    with database.read() as conn:
        known = debts.policies(conn)
    telling = {name: one for name, one in known.items() if one.reminders or one.announce}
    if not telling:
        return {}
    counted: Counter[str] = Counter()
    after = ""
    while True:
        with database.read() as conn:
            found = _candidates(conn, known, telling, on, after)
        with database.write() as conn:
            rows = list(_rows(conn, found, known, on))
            counted.update(row["purpose"] for row in rows)
            if not dry:
                db.insert_many(conn, message, rows)
                told = [(row["account_id"], _told(row), None) for row in rows]
                events.emit_many(conn, "message.made", told, actor="billing")
                faults.point(P_REMINDED)
        if len(found) < _CHUNK:
            return dict(counted)
        after = found[-1]


def _candidates(
    conn: Connection, known: dict[str, Policy], telling: dict[str, Policy], on: date | None, after: str
) -> list[str]:
    """Accounts whose policy tells something, with an invoice that is due soon; the next chunk of them."""
    days = [one.days for policy in telling.values() for one in policy.reminders]
    days += [policy.announce.days for policy in telling.values() if policy.announce]
    first = on or (clock.now() - _ZONES).date()
    last = (on or (clock.now() + _ZONES).date()) + timedelta(days=max(days)) + _MARGIN
    mine: sa.ColumnElement[bool] = account.c.dunning_policy.in_(telling)
    if "default" in telling:  # who names a policy that is not there follows the default
        mine = sa.or_(mine, account.c.dunning_policy.not_in(known))
    query = sa.select(account.c.id).join(invoice, invoice.c.account_id == account.c.id)
    query = query.where(mine, account.c.id > after, debts.OPEN, invoice.c.due_on >= first - _MARGIN)
    query = query.where(invoice.c.due_on <= last).distinct().order_by(account.c.id)
    return list(conn.execute(query.limit(_CHUNK)).scalars())


def _rows(
    conn: Connection, account_ids: Sequence[str], known: dict[str, Policy], on: date | None
) -> Iterator[dict[str, Any]]:
    owners = accounts.by_ids(conn, list(account_ids))  # locked: nobody pays or is told meanwhile
    owed, promised = debts.debts(conn, account_ids), debts.promises(conn, account_ids)
    debits = debits_of(conn, owners)
    chosen: list[tuple[Account, Debt, Chosen, date]] = []
    for owner in owners:
        policy, today = known.get(owner.dunning_policy, known["default"]), on or owner.today
        debit = debits.get(owner.id)
        if debit is None and not is_worth(policy, owed[owner.id], owner.currency):
            continue
        for debt in owed[owner.id]:
            one = choose(policy, debt, promised[owner.id], debit, today)
            if one is not None:
                chosen.append((owner, debt, one, today))
    done = _done(conn, [one.key for _, _, one, _ in chosen])
    moment = clock.now()
    for owner, debt, one, today in chosen:
        for channel in one.channels:
            if (one.key, channel) in done:
                continue
            by = debits[owner.id].by if one.day else ""
            facts = Facts(
                amount=debt.balance.minor, currency=debt.balance.currency, invoices=(debt.invoice,), due=debt.due,
                day=one.day, by=by,
            )  # fmt: skip
            yield {
                "id": ids.new_id("msg"), "account_id": owner.id, "channel": channel, "purpose": one.purpose,
                "source": one.key, "made_on": today, "facts": msgspec.to_builtins(facts), "state": WAITING,
                "attempts": 0, "reply": "", "made_at": moment, "changed_at": moment,
            }  # fmt: skip


def debits_of(conn: Connection, owners: Sequence[Account]) -> dict[str, Debit]:
    """How these accounts are collected from, those that are: by a gateway, else by a direct debit of ours."""
    named = [owner.id for owner in owners]
    found = {}
    for row in conn.execute(sa.select(autopay).where(autopay.c.account_id.in_(named))):
        found[row.account_id] = Debit(row.days_before, row.label)
    usable = mandate.c.state.in_((mandates.ACTIVE, mandates.LAST))
    query = sa.select(mandate, creditor.c.creditor_id).join(account, account.c.id == mandate.c.account_id)
    query = query.join(creditor, creditor.c.legal_entity == account.c.legal_entity)
    query = query.where(usable, mandate.c.account_id.in_(named), account.c.currency == "EUR")
    for row in conn.execute(query.order_by(mandate.c.signed_on.desc(), mandate.c.id.desc())):
        by = f"{row.iban_shown}, {row.id}, {row.creditor_id}"
        found.setdefault(row.account_id, Debit(0, by, bank_days=True))
    return found


def _done(conn: Connection, keys: Sequence[str]) -> set[tuple[str, str]]:
    done: set[tuple[str, str]] = set()
    for start in range(0, len(keys), _CHUNK):
        query = sa.select(message.c.source, message.c.channel)
        query = query.where(message.c.source.in_(keys[start : start + _CHUNK]))
        done.update((row.source, row.channel) for row in conn.execute(query))
    return done


def _told(row: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "purpose", "channel", "source", "facts")
    return {**{name: row[name] for name in names}, "made_on": str(row["made_on"])}
