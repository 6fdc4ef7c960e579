"""Autopay: which invoices are charged when, and the charge itself, asked with one key until its fate is known."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts
from billing.accounts import Account
from billing.bank.collections import PENDING
from billing.bank.models import collection
from billing.gateways import asking, mandates, polling, recording, retrying
from billing.gateways.errors import (
    AutopayMissing,
    GatewayRefused,
    GatewaySilent,
    KeyRefused,
    MethodEnded,
    MethodNotUsable,
)
from billing.gateways.models import attempt, autopay, ended
from billing.gateways.protocol import KEY_LIVES, Answer, Gateway, Order
from billing.gateways.state import FAILED, SUCCEEDED, UNKNOWN, State
from billing.models import invoice
from billing.rounding import is_owed
from billing.stages import is_paused
from core import clock, db, events, faults, ids
from core.db import Database
from core.jobs import Job
from core.money import Money

DROPPED = "dropped"
_CHUNK = 500
_ON_ITS_WAY = timedelta(hours=1)
"""So long a question may be on its way to a gateway that does not know of it."""
P_ASKED = faults.declare("billing.before_charge")
P_CHARGED = faults.declare("billing.after_charge")
Connect = Callable[[str], Gateway]


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """How an account pays: tokens of a gateway, and a label for people. `days_before` the due date."""

    gateway: str
    customer: str
    method: str
    label: str
    days_before: int = 0


def checked(gateway: Gateway, terms: Method, currency: str) -> Method:
    """Terms that a gateway says can be used, with its label where there was none.

    Raises MethodNotUsable, GatewayRefused, GatewaySilent, KeyRefused.
    """
    found = gateway.describe(terms.customer, terms.method)
    wrong = found.wrong
    if not wrong and found.currencies and currency not in found.currencies:
        wrong = f"it pays in {', '.join(found.currencies)}, the account is in {currency}"
    if wrong:
        raise MethodNotUsable(terms.gateway, terms.method, wrong)
    return msgspec.structs.replace(terms, label=terms.label or found.label[:80])


def switch_on(conn: Connection, account: str, terms: Method, *, actor: str) -> None:
    """Charge an account's invoices by a stored method from now on. Raises AccountUnknown, MethodEnded."""
    accounts.lock(conn, account)
    if why := mandates.is_ended(conn, terms.gateway, terms.method):
        raise MethodEnded(terms.gateway, terms.method, why)
    polling.begin(conn, terms.gateway)
    conn.execute(sa.delete(ended).where(ended.c.account_id == account))
    row = {"account_id": account, **msgspec.to_builtins(terms), "actor": actor, "since": clock.now()}
    db.upsert(conn, autopay, [row], ["account_id"])
    said = {"gateway": terms.gateway, "label": terms.label}
    events.emit(conn, "autopay.on", account, said, actor=actor)


def of_account(conn: Connection, account: str) -> Method | None:
    """How an account pays by itself; None: it does not."""
    row = conn.execute(sa.select(autopay).where(autopay.c.account_id == account)).mappings().first()
    return None if row is None else Method(**{name: row[name] for name in Method.__struct_fields__})


def switch_off(conn: Connection, account: str, *, actor: str) -> None:
    """Charge nothing any more, nor by a method that comes back. What is asked already goes on.

    Raises AutopayMissing.
    """
    accounts.lock(conn, account)
    gone = [
        conn.execute(sa.delete(one).where(one.c.account_id == account)).rowcount for one in (autopay, ended)
    ]
    if not any(gone):
        raise AutopayMissing(account)
    events.emit(conn, "autopay.off", account, {}, actor=actor)


def plan(database: Database, on: date) -> int:
    """Make an attempt for every invoice whose time has come on local date `on`; returns how many. Again: none more.

    What became of charges and refunds that nobody told of is asked for again, and events are fetched.
    """
    after, made = "", 0
    with database.write() as conn:
        asking.ask_again(conn)
    while True:
        with database.write() as conn:
            found = _with_something_due(conn, on, after)
            for owner in accounts.by_ids(conn, found):
                made += sum(1 for _ in _plan(conn, owner, on))
        if len(found) < _CHUNK:
            return made
        after = found[-1]


def perform(database: Database, job: Job, connect: Connect) -> State | None:
    """Ask for the charge of an attempt. Raises GatewaySilent and KeyRefused: the job comes again, with the same key.
    Raises GatewayRefused.
    """
    attempt_id = job.payload["attempt"]
    with database.read() as conn:
        gateway = connect(recording.get(conn, attempt_id)["gateway"])
    with database.write() as conn:
        accounts.lock(conn, recording.get(conn, attempt_id)["account_id"])
        row = recording.get(conn, attempt_id)
        if row["state"] in (SUCCEEDED, FAILED, DROPPED):
            return None
        wrong = _wrong(conn, row)
        if wrong and row["asked_at"] is None:
            _set(conn, attempt_id, state=DROPPED, code=wrong)
            return None
        asked = row["asked_at"] or clock.now()
        _set(conn, attempt_id, asked_at=asked)
    faults.point(P_ASKED)
    said = _found_out(database, gateway, row, wrong) if wrong else _asked(database, gateway, row, asked)
    if said is None:
        return None
    faults.point(P_CHARGED)
    with database.write() as conn:
        state = recording.answered(conn, attempt_id, said)
    if state.charge == UNKNOWN:
        raise GatewaySilent(row["gateway"], "it says nothing of the charge")
    return state  # one that is on its way is told by an event, and asked for again with each day's plan


def _asked(database: Database, gateway: Gateway, row: dict[str, Any], asked: datetime) -> Answer:
    """Ask; where that is refused and nobody can have been charged, it is as if nobody had asked.

    What was asked before is looked for when the answer is no: the money may have gone with the first question.
    """
    first = row["asked_at"] is None
    try:
        said = _ask(gateway, row)
    except KeyRefused:
        if first:
            _forget(database, row, asked)
        raise
    except GatewayRefused:
        before = None if first or row["reference"] else gateway.find(_order(row))
        if before is not None:
            return before
        if first or clock.now() - asked > _ON_ITS_WAY:
            _forget(database, row, asked)
        raise
    lost = not first and not said.reference
    return (gateway.find(_order(row)) or said) if lost else said


def _found_out(database: Database, gateway: Gateway, row: dict[str, Any], wrong: str) -> Answer | None:
    """What became of a charge that was asked for and is not wanted any more; None: nothing, and nothing will."""
    said = gateway.fetch(row["reference"]) if row["reference"] else gateway.find(_order(row))
    if said is None and clock.now() - row["asked_at"] < _ON_ITS_WAY:
        raise GatewaySilent(row["gateway"], "what was asked may be on its way still")
    if said is None:
        _settle_unknown(database, row, state=DROPPED, code=wrong)
    return said


def _forget(database: Database, row: dict[str, Any], asked: datetime) -> None:
    """Nobody can have been charged by the question of that moment; another worker may have asked since."""
    _settle_unknown(database, row, attempt.c.asked_at == asked, asked_at=None)


def _settle_unknown(
    database: Database, row: dict[str, Any], *also: "sa.ColumnElement[bool]", **values: Any
) -> None:
    """Write it down, unless an event told of the charge meanwhile."""
    still = sa.and_(
        attempt.c.id == row["id"], attempt.c.state == UNKNOWN, attempt.c.reference.is_(None), *also
    )
    with database.write() as conn:
        accounts.lock(conn, row["account_id"])
        conn.execute(sa.update(attempt).where(still).values(**values))


def _set(conn: Connection, attempt_id: str, **values: Any) -> None:
    conn.execute(sa.update(attempt).where(attempt.c.id == attempt_id).values(**values))


def _ask(gateway: Gateway, row: dict[str, Any]) -> Answer:
    """Ask for the charge, or what became of it: with one key, which gateways know for about a day."""
    if row["reference"]:
        return gateway.fetch(row["reference"])
    order = _order(row)
    if row["asked_at"] is not None and clock.now() - row["asked_at"] > KEY_LIVES:
        return gateway.find(order) or gateway.charge(order)
    return gateway.charge(order)


def _order(row: dict[str, Any]) -> Order:
    return Order(
        key=row["id"], customer=row["customer"], method=row["method"], amount=row["amount"],
        currency=row["currency"], description=f"{row['account_id']} {row['invoice_id']}",
    )  # fmt: skip


def _with_something_due(conn: Connection, on: date, after: str) -> list[str]:
    """The next accounts with autopay and an open invoice whose day may have come: others are not even locked."""
    earliest = conn.execute(sa.select(sa.func.max(autopay.c.days_before))).scalar() or 0
    due = sa.and_(debts.UNSETTLED, invoice.c.due_on <= on + timedelta(days=earliest))
    owed = sa.select(invoice.c.id).where(due, invoice.c.account_id == autopay.c.account_id).exists()
    query = sa.select(autopay.c.account_id).where(autopay.c.account_id > after, owed)
    return list(conn.execute(query.order_by(autopay.c.account_id).limit(_CHUNK)).scalars())


def _plan(conn: Connection, owner: Account, on: date) -> Iterator[str]:
    row = conn.execute(sa.select(autopay).where(autopay.c.account_id == owner.id)).mappings().first()
    if row is None:  # switched off before the account was locked
        return
    promises = debts.promises(conn, [owner.id]).get(owner.id, [])
    with_the_bank = _with_the_bank(conn, owner.id)
    for one in debts.open_balances(conn, owner.id):
        if one.invoice in with_the_bank:
            continue
        owed = Money(one.balance, owner.currency)
        if not is_owed(owed):
            continue
        tries = conn.execute(
            sa.select(attempt).where(attempt.c.invoice_id == one.invoice).order_by(attempt.c.number)
        ).mappings().all()  # fmt: skip
        if is_paused(one.due, promises, on):
            continue  # they pay by themselves, by a day that they promised
        first = one.due - timedelta(days=row["days_before"])
        day = _day([dict(found) for found in tries], dict(row), first)
        if day is not None and day <= on:
            yield _make(conn, owner, dict(row), one.invoice, len(tries) + 1, owed, on)


def _with_the_bank(conn: Connection, account: str) -> set[str]:
    """Invoices of which a direct debit is in a file for the bank: two debits would collect twice."""
    mine = sa.and_(collection.c.account_id == account, collection.c.state == PENDING)
    return set(conn.execute(sa.select(collection.c.invoice_id).where(mine)).scalars())


def _day(tries: list[dict[str, Any]], terms: dict[str, Any], first: date) -> date | None:
    """When an invoice is tried next; None: not by itself. Each method has its own tries: a new one begins anew.

    A debit that its bank sent back after it had come in has a code, and is tried again as one that failed.
    """
    if tries and not _is_over(tries[-1]):
        return None
    mine = [one for one in tries if _method(one) == _method(terms)]
    if not mine:
        return first
    last = mine[-1]
    if last["state"] == DROPPED:
        return last["planned_on"] + timedelta(days=1)  # type: ignore[no-any-return]
    failed = sum(one["state"] != DROPPED for one in mine)
    known = last["told_on"] or last["planned_on"]
    return retrying.next_day(last["code"], mine[0]["planned_on"], known, failed)


def _is_over(last: dict[str, Any]) -> bool:
    """Whether a try has brought nothing, and will not any more."""
    return last["state"] in (DROPPED, FAILED) or (last["state"] == SUCCEEDED and last["code"] != "")


def _method(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["gateway"], row["customer"], row["method"]


def _make(
    conn: Connection,
    owner: Account,
    terms: dict[str, Any],
    invoice_id: str,
    number: int,
    owed: Money,
    on: date,
) -> str:
    attempt_id = ids.new_id("gat")
    values = {
        "id": attempt_id, "account_id": owner.id, "invoice_id": invoice_id, "number": number,
        "gateway": terms["gateway"], "customer": terms["customer"], "method": terms["method"],
        "currency": owed.currency, "amount": owed.minor, "state": UNKNOWN, "code": "", "refunded": 0,
        "planned_on": on, "created_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(attempt).values(**values))
    asking.queue(conn, attempt_id)
    return attempt_id


def _wrong(conn: Connection, row: dict[str, Any]) -> str:
    """Why a charge that was planned is not wanted any more; empty: it is."""
    open_ = sa.select(debts.BALANCE).where(invoice.c.id == row["invoice_id"], debts.OPEN)
    if int(conn.execute(open_).scalar() or 0) != row["amount"]:
        return "paid otherwise"
    if row["invoice_id"] in _with_the_bank(conn, row["account_id"]):
        return "the bank collects it"
    promises = debts.promises(conn, [row["account_id"]]).get(row["account_id"], [])
    due = conn.execute(sa.select(invoice.c.due_on).where(invoice.c.id == row["invoice_id"])).scalar_one()
    if is_paused(due, promises, accounts.get(conn, row["account_id"]).today):
        return "promised"
    terms = (
        conn.execute(sa.select(autopay).where(autopay.c.account_id == row["account_id"])).mappings().first()
    )
    if terms is None:
        return "autopay is off"
    return "" if _method(dict(terms)) == _method(row) else "another method is used"
