"""Facts in, money moved: one transaction, whoever says it how often in whatever order."""

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, payments
from billing.gateways import mandates, takebacks
from billing.gateways.models import WAITING, attempt, fact, heard
from billing.gateways.protocol import Answer, Told
from billing.gateways.state import FAILED, SUCCEEDED, Fact, State, fold
from core import clock, db, events, jobs
from core.money import Money

ACTOR = "gateway"
LOOK = "billing.refund-look"
"""The job that fetches what a webhook said of a refund without its amount."""


def answered(conn: Connection, attempt_id: str, said: Answer, source: str = "answer") -> State:
    """Record what a gateway answered of an attempt, and what waited for its reference; returns the state."""
    _refer(conn, attempt_id, said.reference)
    _add(conn, attempt_id, said.facts, source)
    return _apply(conn, attempt_id)


def hear(conn: Connection, gateway: str, told: Told) -> bool:
    """Record an event and what follows from it; False for one that was heard before."""
    event_id = f"{gateway}:{told.id}"
    owner = _attempt_of(conn, gateway, told)
    state = "applied" if told.mandate or told.refund else "ignored"
    if told.fact is not None:
        state = "waiting" if owner is None else "applied"
    values = {
        "id": event_id, "gateway": gateway, "kind": told.kind, "reference": told.reference or None,
        "attempt_id": owner, "fact": None if told.fact is None else msgspec.to_builtins(told.fact), "state": state,
        "received_at": clock.now(),
    }  # fmt: skip
    if not db.insert_new(conn, heard, values, ["id"]):
        return False
    if told.mandate:
        mandates.changed(conn, gateway, told, actor=ACTOR)
    if told.refund:
        jobs.enqueue(
            conn, LOOK, {"gateway": gateway, "refund": told.refund}, unique=f"{LOOK}:{told.refund}:{told.id}"
        )
    if owner is not None and told.fact is not None:
        _refer(conn, owner, told.reference)
        _add(conn, owner, [told.fact], event_id)
        _apply(conn, owner)
    return True


def looked(conn: Connection, gateway: str, refund: str, said: Answer) -> None:
    """Record what was fetched of a refund; where nobody knows its charge (yet), it waits for that."""
    for one in said.facts:
        told = Told(id=f"look:{refund}:{one.what}", kind="refund", reference=said.reference, fact=one)
        hear(conn, gateway, told)


def catch_up(conn: Connection) -> int:
    """Take in what waits for a charge that is known by now: an event and our answer may miss each other."""
    same = sa.and_(attempt.c.reference == heard.c.reference, attempt.c.gateway == heard.c.gateway)
    query = sa.select(attempt.c.id).select_from(heard).join(attempt, same)
    query = query.where(sa.literal_column(WAITING)).distinct().add_columns(attempt.c.account_id)
    # In the order in which everybody locks accounts.
    found = [row.id for row in conn.execute(query.order_by(attempt.c.account_id, attempt.c.id))]
    for attempt_id in found:
        row = _lock(conn, attempt_id)
        _take_in(conn, row, row["reference"])
        _apply(conn, attempt_id)
    return len(found)


def again(conn: Connection, attempt_id: str) -> State:
    """Draw from the facts of an attempt what could not be drawn before."""
    _lock(conn, attempt_id)
    return _apply(conn, attempt_id)


def state_of(conn: Connection, attempt_id: str) -> State:
    """What its facts make of it."""
    return fold(facts_of(conn, attempt_id))


def facts_of(conn: Connection, attempt_id: str) -> list[Fact]:
    """Everything that was ever said of an attempt."""
    query = sa.select(fact.c.content).where(fact.c.attempt_id == attempt_id).order_by(fact.c.seq)
    return [msgspec.convert(content, Fact) for content in conn.execute(query).scalars()]


def get(conn: Connection, attempt_id: str) -> dict[str, Any]:
    """An attempt that is there, as a row."""
    return dict(conn.execute(sa.select(attempt).where(attempt.c.id == attempt_id)).mappings().one())


def _refer(conn: Connection, attempt_id: str, reference: str) -> None:
    """Lock an attempt, keep what the gateway calls it, and take in what was said under that name before."""
    row = _lock(conn, attempt_id)
    if not reference or row["reference"] == reference:
        return
    conn.execute(sa.update(attempt).where(attempt.c.id == attempt_id).values(reference=reference))
    _take_in(conn, row, reference)


def _take_in(conn: Connection, row: dict[str, Any], reference: str) -> None:
    waiting = sa.select(heard).where(
        heard.c.gateway == row["gateway"], heard.c.reference == reference, heard.c.state == "waiting"
    )
    for one in conn.execute(waiting).mappings().all():
        _add(conn, row["id"], [msgspec.convert(one["fact"], Fact)], one["id"])
        conn.execute(sa.update(heard).where(heard.c.id == one["id"]).values(state="applied"))


def _apply(conn: Connection, attempt_id: str) -> State:
    row = get(conn, attempt_id)
    state = state_of(conn, attempt_id)
    payment_id = row["payment_id"]
    if state.charge == SUCCEEDED and payment_id is None:
        amount = Money(row["amount"], row["currency"])
        paid = payments.pay(
            conn, row["account_id"], amount, row["gateway"], f"gateway:{attempt_id}", actor=ACTOR,
            named=(row["invoice_id"],),
        )  # fmt: skip
        payment_id = paid.payment
    if payment_id is not None:
        takebacks.take_back(conn, row, payment_id, state, actor=ACTOR)
    if state.charge == FAILED and row["state"] != FAILED:
        said = {"attempt": attempt_id, "invoice": row["invoice_id"], "code": state.code, "try": row["number"]}
        events.emit(conn, "payment.failed", row["account_id"], said, actor=ACTOR)
    values = {"state": state.charge, "code": state.code, "payment_id": payment_id, "refunded": state.refunded}
    if (state.charge, state.code) != (row["state"], row["code"]):
        values["told_on"] = accounts.get(conn, row["account_id"]).today
    conn.execute(sa.update(attempt).where(attempt.c.id == attempt_id).values(**values))
    return state


def _add(conn: Connection, attempt_id: str, facts: Iterable[Fact], source: str) -> None:
    known = set(facts_of(conn, attempt_id))
    for one in facts:
        if one not in known:
            values = {
                "attempt_id": attempt_id, "content": msgspec.to_builtins(one), "source": source,
                "recorded_at": clock.now(),
            }  # fmt: skip
            conn.execute(sa.insert(fact).values(**values))


def _attempt_of(conn: Connection, gateway: str, told: Told) -> str | None:
    for column, name in ((attempt.c.id, told.attempt), (attempt.c.reference, told.reference)):
        query = sa.select(attempt.c.id).where(column == name, attempt.c.gateway == gateway)
        found = conn.execute(query).scalar() if name else None
        if found is not None:
            return str(found)
    return None


def _lock(conn: Connection, attempt_id: str) -> dict[str, Any]:
    """The account is the lock: whatever moves its money waits."""
    accounts.lock(conn, get(conn, attempt_id)["account_id"])
    return get(conn, attempt_id)
