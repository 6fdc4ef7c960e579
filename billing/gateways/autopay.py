"""Autopay: which invoices are charged when, and the charge itself, asked with one key until its fate is known."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts
from billing.accounts import Account
from billing.gateways import givebacks, recording, retrying
from billing.gateways.errors import AutopayMissing, GatewaySilent
from billing.gateways.models import UNDECIDED, attempt, autopay
from billing.gateways.protocol import KEY_LIVES, Answer, Gateway, Order
from billing.gateways.state import FAILED, SUCCEEDED, UNKNOWN, State
from billing.models import invoice
from billing.rounding import is_owed
from billing.stages import is_paused
from core import clock, db, events, faults, ids, jobs
from core.db import Database
from core.jobs import Job
from core.money import Money

CHARGE = "billing.charge"
DROPPED = "dropped"
_CHUNK = 500
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


def switch_on(conn: Connection, account: str, terms: Method, *, actor: str) -> None:
    """Charge an account's invoices by a stored method from now on. Raises AccountUnknown."""
    accounts.lock(conn, account)
    row = {"account_id": account, **msgspec.to_builtins(terms), "actor": actor, "since": clock.now()}
    db.upsert(conn, autopay, [row], ["account_id"])
    said = {"gateway": terms.gateway, "label": terms.label}
    events.emit(conn, "autopay.on", account, said, actor=actor)


def switch_off(conn: Connection, account: str, *, actor: str) -> None:
    """Charge nothing any more; what is asked already goes on. Raises AutopayMissing."""
    accounts.lock(conn, account)
    if not conn.execute(sa.delete(autopay).where(autopay.c.account_id == account)).rowcount:
        raise AutopayMissing(account)
    events.emit(conn, "autopay.off", account, {}, actor=actor)


def plan(database: Database, on: date) -> int:
    """Make an attempt for every invoice whose time has come on local date `on`; returns how many. Again: none more.

    What became of charges and refunds that nobody told of is asked for again.
    """
    after, made = "", 0
    with database.write() as conn:
        recording.catch_up(conn)
        givebacks.queue_open(conn)
        _ask_again(conn)
    while True:
        with database.write() as conn:
            found = _with_something_due(conn, on, after)
            for owner in accounts.by_ids(conn, found):
                made += sum(1 for _ in _plan(conn, owner, on))
        if len(found) < _CHUNK:
            return made
        after = found[-1]


def perform(database: Database, job: Job, connect: Connect) -> State | None:
    """Ask for the charge of an attempt. Raises GatewaySilent: the job comes again, with the same key."""
    attempt_id = job.payload["attempt"]
    with database.write() as conn:
        row = recording.get(conn, attempt_id)
        accounts.lock(conn, row["account_id"])
        row = recording.get(conn, attempt_id)
        if row["state"] in (SUCCEEDED, FAILED, DROPPED) or not _still_owed(conn, row):
            return None
        conn.execute(
            sa.update(attempt)
            .where(attempt.c.id == attempt_id)
            .values(asked_at=row["asked_at"] or clock.now())
        )
    faults.point(P_ASKED)
    said = _ask(connect(row["gateway"]), row)
    faults.point(P_CHARGED)
    with database.write() as conn:
        state = recording.answered(conn, attempt_id, said)
    if state.charge == UNKNOWN:
        raise GatewaySilent(row["gateway"], "it says nothing of the charge")
    return state  # one that is on its way is told by an event, and asked for again with each day's plan


def _ask(gateway: Gateway, row: dict[str, Any]) -> Answer:
    """Ask for the charge, or what became of it: with one key, which gateways know for about a day."""
    if row["reference"]:
        return gateway.fetch(row["reference"])
    order = Order(
        key=row["id"], customer=row["customer"], method=row["method"], amount=row["amount"],
        currency=row["currency"], description=f"{row['account_id']} {row['invoice_id']}",
    )  # fmt: skip
    if row["asked_at"] is not None and clock.now() - row["asked_at"] > KEY_LIVES:
        return gateway.find(order) or gateway.charge(order)
    return gateway.charge(order)


def _ask_again(conn: Connection) -> None:
    """Whatever became of an attempt is found out, if its job gave up and no event came."""
    query = sa.select(attempt.c.id).where(sa.literal_column(UNDECIDED)).order_by(attempt.c.id)
    for attempt_id in conn.execute(query).scalars().all():
        jobs.enqueue(conn, CHARGE, {"attempt": attempt_id}, unique=f"{CHARGE}:{attempt_id}")


def _with_something_due(conn: Connection, on: date, after: str) -> list[str]:
    """The next accounts with autopay and an open invoice whose day may have come: others are not even locked."""
    earliest = conn.execute(sa.select(sa.func.max(autopay.c.days_before))).scalar() or 0
    due = sa.and_(debts.UNSETTLED, invoice.c.due_on <= on + timedelta(days=earliest))
    owed = sa.select(invoice.c.id).where(due, invoice.c.account_id == autopay.c.account_id).exists()
    query = sa.select(autopay.c.account_id).where(autopay.c.account_id > after, owed)
    return list(conn.execute(query.order_by(autopay.c.account_id).limit(_CHUNK)).scalars())


def _plan(conn: Connection, owner: Account, on: date) -> Iterator[str]:
    row = conn.execute(sa.select(autopay).where(autopay.c.account_id == owner.id)).mappings().one()
    promises = debts.promises(conn, [owner.id]).get(owner.id, [])
    for one in debts.open_balances(conn, owner.id):
        owed = Money(one.balance, owner.currency)
        if not is_owed(owed):
            continue
        tries = conn.execute(
            sa.select(attempt).where(attempt.c.invoice_id == one.invoice).order_by(attempt.c.number)
        ).mappings().all()  # fmt: skip
        if is_paused(one.due, promises, on):
            continue  # they pay by themselves, by a day that they promised
        first = one.due - timedelta(days=row["days_before"])
        day = _day([dict(found) for found in tries], first)
        if day is not None and day <= on:
            yield _make(conn, owner, dict(row), one.invoice, len(tries) + 1, owed, on)


def _day(tries: list[dict[str, Any]], first: date) -> date | None:
    """When an invoice is tried next; None: not by itself."""
    if not tries:
        return first
    last = tries[-1]
    if last["state"] == DROPPED:
        return last["planned_on"] + timedelta(days=1)  # type: ignore[no-any-return]
    if last["state"] != FAILED:
        return None
    failed = sum(one["state"] == FAILED for one in tries)
    return retrying.next_day(last["code"], tries[0]["planned_on"], last["planned_on"], failed)


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
    jobs.enqueue(conn, CHARGE, {"attempt": attempt_id}, unique=f"{CHARGE}:{attempt_id}")
    return attempt_id


def _still_owed(conn: Connection, row: dict[str, Any]) -> bool:
    """Whether a charge that nobody has asked for yet is still right; one that is paid meanwhile is dropped."""
    if row["asked_at"] is not None:
        return True
    open_ = sa.select(debts.BALANCE).where(invoice.c.id == row["invoice_id"], debts.OPEN)
    if int(conn.execute(open_).scalar() or 0) == row["amount"]:
        return True
    conn.execute(
        sa.update(attempt).where(attempt.c.id == row["id"]).values(state=DROPPED, code="paid otherwise")
    )
    return False
